"""The loader of a rebuild, a process beside whatever else runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import free_port


def loader_process(kafka: Mapping[str, str], clickhouse: tuple[str, str, str], data: Path) -> Callable[[], Child]:
    """A loader as a child process; its log is ``data/logs/rebuild.log``. ``kafka``: see environment.of_kafka."""

    def start() -> Child:
        url, user, password = clickhouse
        env = {
            **kafka,
            "TOKENMETER_CLICKHOUSE_URL": url,
            "TOKENMETER_CLICKHOUSE_USER": user,
            "TOKENMETER_CLICKHOUSE_PASSWORD": password,
            "TOKENMETER_DATA": str(data),
        }
        command = [sys.executable, "-m", "tokenmeter.cli.app", "load", "--port", str(free_port())]
        child = Child("rebuild", command, data / "logs" / "rebuild.log", env)
        child.start()
        return child

    return start
