"""The verb ``meter``: the worker that decodes, checks, rates and totals."""

from __future__ import annotations

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, PortOption, SlotOption
from tokenmeter.events.groups import METER
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.meter import MeterRules
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.flow.page.page import PageLimits

EXAMPLES = "Example: tokenmeter meter --slot 1"


def meter(port: PortOption = 6066, slot: SlotOption = None, data: DataOption = None) -> None:
    """Run a meter: usage.events into billing and market lines."""
    settings = load(data=data)
    client = kafka(settings, "workers")
    worker = WorkerConfig(
        METER.id,
        client["bootstrap.servers"],
        METER.topics,
        settings.data / "meter",
        web_host=settings.worker_host,
        web_port=port,
        instance_id=slot and f"meter-{slot}",
        client=client,
        limits=PageLimits(settings.page_seconds, settings.page_min_seconds, events=settings.page_events),
    )
    rules = MeterRules(settings.dedup_horizon_minutes * 60_000, settings.quarantine_ratio_max)
    meter_app.run(meter_app.MeterConfig(worker, rules))
