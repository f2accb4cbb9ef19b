"""The verb ``load``: the worker that brings every topic into ClickHouse."""

from __future__ import annotations

from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, PortOption, SlotOption
from tokenmeter.events.groups import LOAD
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.load import app as load_app
from tokenmeter.flow.page.page import PageLimits

EXAMPLES = "Example: tokenmeter load --slot 1"


def load_worker(port: PortOption = 6067, slot: SlotOption = None, data: DataOption = None) -> None:
    """Run a loader: every topic into ClickHouse."""
    settings = load(data=data)
    client = kafka(settings, "workers")
    worker = WorkerConfig(
        LOAD.id,
        client["bootstrap.servers"],
        LOAD.topics,
        settings.data / "load",
        web_host=settings.worker_host,
        web_port=port,
        instance_id=slot and f"load-{slot}",
        client=client,
        limits=PageLimits(seconds=load_app.PAGE_SECONDS, events=load_app.PAGE_EVENTS),
    )
    load_app.run(load_app.LoadConfig(worker, *clickhouse(settings)))
