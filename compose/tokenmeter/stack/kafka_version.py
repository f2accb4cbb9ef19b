"""Which Kafka has written a node's directory: an earlier one cannot read it, and says so in words of its own."""

from __future__ import annotations

from pathlib import Path

from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.jars import KAFKA_VERSION

VERSION_FILE = "version"
UNNOTED = "4.4.0"
"""What ran before the version was noted."""


def note_version(data: Path) -> None:
    """Of a directory that was just made."""
    (data / VERSION_FILE).write_text(KAFKA_VERSION, "utf-8")


def require_readable(data: Path) -> None:
    """Raises Misconfigured naming both versions when a later Kafka has written ``data``."""
    noted = data / VERSION_FILE
    written = noted.read_text("utf-8").strip() if noted.exists() else UNNOTED
    if _numbers(written) > _numbers(KAFKA_VERSION):
        raise Misconfigured(
            f"{data} was written by Kafka {written}, and Kafka {KAFKA_VERSION} cannot read it; it was left as it is",
            hint=f"--data DIR begins anew; to go on: run Kafka {written} on it and set TOKENMETER_KAFKA_BOOTSTRAP",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
