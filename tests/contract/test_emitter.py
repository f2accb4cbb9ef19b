"""The SDK on real Kafka: what flush() acknowledges is there, what is not is named and told of once."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.broker import broker, read_all
from support.events import event
from tokenmeter.emit import Emitter
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import BufferFull, Poison, Undelivered

QUICK = {"delivery.timeout.ms": 1_000, "request.timeout.ms": 500}


def test_what_is_acknowledged_is_there_with_source_and_sequence(tmp_path: Path) -> None:
    with broker(tmp_path) as kafka:
        with Emitter(kafka.bootstrap, source="gateway-1") as emitter:
            for number in range(300):
                emitter.emit(event(number, source="", sequence=None))
            emitter.emit(event(300, source="somebody-else", sequence=None))
            emitter.emit(event(301, source="", sequence=None))
            with pytest.raises(Poison, match="allowed"):
                emitter.emit(event(302, source="", sequence=None, tags=("x" * 600_000, "y" * 600_000)))
            emitter.emit(event(303, source="", sequence=None))
        assert emitter.stats.acknowledged == 303
        found = [decode(record.value).record for record in read_all(kafka.bootstrap, EVENTS)]
    assert {one["event_id"] for one in found} == {f"event-{n:08d}" for n in (*range(302), 303)}
    sequences = sorted(one["sequence"] for one in found if one["source"] == "gateway-1")
    assert sequences == list(range(302)), "a refused or a foreign event leaves no hole"
    assert [one["sequence"] for one in found if one["source"] == "somebody-else"] == [None]


def test_flush_names_how_many_are_undelivered_and_tells_of_each_once() -> None:
    emitter = Emitter("127.0.0.1:1", client_config=QUICK)
    for number in range(7):
        emitter.emit(event(number))
    with pytest.raises(Undelivered, match="7 of 7 events"):
        emitter.flush(10)
    emitter.flush(1)
    emitter.emit(event(8))
    with pytest.raises(Undelivered, match="1 of 8 events"):
        emitter.flush(10)


def test_a_full_buffer_raises_when_it_may_not_block() -> None:
    emitter = Emitter("127.0.0.1:1", buffer_events=5, on_full="raise", client_config=QUICK)
    for number in range(5):
        emitter.emit(event(number))
    with pytest.raises(BufferFull, match="5 events wait"):
        emitter.emit(event(6))
    with pytest.raises(Undelivered):
        emitter.flush(10)
