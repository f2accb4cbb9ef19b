"""What the watch remembers of a partition, as records: where it stands, and its subjects in packed columns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tokenmeter.events import wire
from tokenmeter.events.models import Int32, Record, Total


class WatchState(Record):
    """Where the watch of one partition stands; see ``watch_state``."""

    topic: str
    partition: Int32
    checkpoint: Total
    next_offset: Total
    open_bucket: Total | None = None
    told_from: Total
    sensitivity: str
    subjects: Annotated[int, Field(ge=0)]
    groups: tuple[str, ...] = ()
    pools: tuple[bytes, ...] = ()
    causes: tuple[int, ...] = ()
    open_lines: tuple[int, ...] = ()
    clock_offsets: tuple[int, ...] = ()
    clock_buckets: tuple[int, ...] = ()

    def to_value(self) -> bytes:
        """The state as a record of the topic."""
        return wire.encode("watch_state", dict(self.__dict__))


class WatchRows(Record):
    """Some subjects of a checkpoint; see ``watch_rows``."""

    topic: str
    partition: Int32
    checkpoint: Total
    part: str
    chunk: Int32
    names: tuple[str, ...] = ()
    data: bytes

    def to_value(self) -> bytes:
        """The rows as a record of the topic."""
        return wire.encode("watch_rows", dict(self.__dict__))
