"""A read goes on through what passes, ends where the log does, and says what it stands still before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError

from tokenmeter.events.errors import Fatal
from tokenmeter.kafka import reading
from tokenmeter.kafka.reading import NEVER, Pace, to_the_ends

TOPIC, WAIT_S = "usage.billing", 1.0
PACE = Pace(wait_s=WAIT_S, stall_s=10.0)


class Said:
    """A record of ``partition``, or with a ``code`` what Kafka says of it."""

    def __init__(self, partition: int, offset: int, code: int | None = None) -> None:
        self._partition, self._offset, self._code = partition, offset, code

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return None if self._code is None else KafkaError(self._code)

    def timestamp(self) -> tuple[int, int]:
        return (2, 1_000) if self._code is None else (0, 0)


def end(partition: int, offset: int) -> Said:
    return Said(partition, offset, KafkaError._PARTITION_EOF)


class Log:
    """A consumer that is told these ``calls``, one after the other, and then nothing any more."""

    def __init__(self, *calls: Sequence[Said]) -> None:
        self._calls, self._rest = deque(calls), deque[Said]()
        self.now, self.assigned = 0.0, {}

    def monotonic(self) -> float:
        return self.now

    def assign(self, partitions: list[Any]) -> None:
        self.assigned = {one.partition: one.offset for one in partitions}

    def poll(self, wait_s: float) -> Said | None:
        self._rest = deque(self._calls.popleft() if self._calls else ())
        if self._rest:
            return self._rest.popleft()
        self.now += wait_s
        return None

    def consume(self, most: int, wait_s: float) -> list[Said]:
        assert most >= 0
        return list(self._rest)


def follow(
    monkeypatch: pytest.MonkeyPatch, log: Log, starts: dict[int, int], until: int | None = None
) -> Iterator[tuple[int, int]]:
    """(partition, offset) of each record that is handed out."""
    monkeypatch.setattr(reading, "time", log)
    for taken in to_the_ends(log, TOPIC, starts, until, PACE):
        yield from ((one.partition(), one.offset()) for one in taken.messages)


def read(
    monkeypatch: pytest.MonkeyPatch, log: Log, starts: dict[int, int], until: int | None = None
) -> list[tuple[int, int]]:
    found = list(follow(monkeypatch, log, starts, until))
    assert log.assigned == starts
    return found


def test_every_partition_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log([Said(0, 5), Said(1, 0), end(0, 6)], [], [Said(1, 1)], [end(1, 3)])
    assert read(monkeypatch, log, {0: 5, 1: 0}) == [(0, 5), (1, 0), (1, 1)]


def test_no_partitions_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, Log(), {}) == []


def test_what_is_not_committed_below_the_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log([Said(0, 0), end(0, 1)], [], [Said(0, 1)])
    assert read(monkeypatch, log, {0: 0}, 2) == [(0, 0), (0, 1)]
    passed = Log([Said(0, 0), end(0, 4)])
    assert read(monkeypatch, passed, {0: 0}, 4) == [(0, 0)], "markers and aborted records lie behind it"
    with pytest.raises(Fatal, match=r"usage\.billing/0 stands still at offset 1 of 2: no record for 10 s"):
        read(monkeypatch, Log([Said(0, 0), end(0, 1)]), {0: 0}, 2)


def test_who_follows_is_told_what_comes_after_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log([end(0, 0), end(1, 0)], [Said(1, 0), end(1, 1)], [Said(0, 0)])
    found: list[tuple[int, int]] = []
    with pytest.raises(Fatal, match="stands still"):  # here it may be silent for ten seconds, not for ever
        for place in follow(monkeypatch, log, {0: 0, 1: 0}, NEVER):
            found.append(place)
    assert found == [(1, 0), (0, 0)]


def test_what_a_broker_that_restarts_says_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Said(0, -1, KafkaError.NOT_LEADER_FOR_PARTITION)
    log = Log([Said(0, 0), moved], [], [moved], [Said(0, 1), end(0, 2)])
    assert read(monkeypatch, log, {0: 0}) == [(0, 0), (0, 1)]


def test_what_lasts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Said(0, -1, KafkaError.NOT_LEADER_FOR_PARTITION)
    with pytest.raises(Fatal, match=r"stands still: no record for 10 s; .*: .*NOT_LEADER_FOR_PARTITION"):
        read(monkeypatch, Log(*[[moved]] * 3), {0: 0})


def test_what_does_not_pass_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log([Said(0, 0), Said(0, -1, KafkaError.TOPIC_AUTHORIZATION_FAILED)])
    with pytest.raises(Fatal, match=r"cannot read usage\.billing/0: .*") as told:
        read(monkeypatch, log, {0: 0})
    assert told.value.hint == "tokenmeter status"
    assert log.now == 0.0
