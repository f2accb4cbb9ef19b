"""A log that brings nothing for long is given up; a reader that is busy with a batch is no silence of the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from tokenmeter.events.errors import Fatal
from tokenmeter.kafka import logreader, reading
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.reading import READ_WAIT_S, STALL_S

END = 3


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Message:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset

    def error(self) -> None:
        return None

    def value(self) -> bytes:
        return b"value"

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_000


class Log:
    """A consumer of a log with END records, which hands out one at a time, and before each ``silences`` times none."""

    def __init__(self, clock: Clock, silences: int) -> None:
        self._clock, self._silences = clock, silences
        self._offset, self._silent = 0, 0

    def assign(self, partitions: list[Any]) -> None:
        self._offset = partitions[0].offset

    def poll(self, wait_s: float) -> Message | None:
        self._silent += 1
        if self._silent <= self._silences:
            self._clock.now += wait_s
            return None
        self._silent = 0
        self._offset += 1
        return Message(self._offset - 1)

    def consume(self, most: int, wait_s: float) -> list[Message]:
        return []

    def position(self, partitions: list[Any]) -> list[Any]:
        partitions[0].offset = self._offset
        return partitions

    def close(self) -> None:
        return


def read(monkeypatch: pytest.MonkeyPatch, silences: int, work_s: float) -> Iterator[int]:
    """The offsets; each takes its reader ``work_s``."""
    clock = Clock()
    monkeypatch.setattr(reading, "time", clock)
    monkeypatch.setattr(logreader, "asking", lambda *_: nullcontext(Log(clock, silences)))
    for batch in KafkaLogReader({}).read("usage.billing", 0, 0, END):
        yield batch.next_offset - 1
        clock.now += work_s


def test_a_batch_may_take_its_reader_longer_than_a_log_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*read(monkeypatch, silences=2, work_s=STALL_S * 3)] == [0, 1, 2]


def test_a_log_that_is_silent_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fatal, match=r"usage\.billing/0 stands still at offset 0 of 3: no record for 30 s"):
        list(read(monkeypatch, silences=int(STALL_S / READ_WAIT_S) + 2, work_s=0.0))
