"""Whether a log has grown is never guessed: a young broker is asked again, only a topic that is not there is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, KafkaException

from support.topic_log import TopicLog
from tokenmeter.events.contract import EVENTS, GROWTH
from tokenmeter.events.errors import Fatal
from tokenmeter.events.growth import Growth
from tokenmeter.kafka import growths
from tokenmeter.kafka.growths import read_growths

GROWN = Growth(
    partitions_before=4, partitions=8, first_offsets=(1, 2, 3, 4), grown_at=datetime(2026, 11, 27, tzinfo=UTC)
)


class Young(TopicLog):
    """Leads nothing for its first ``refusals`` answers; ``missing`` topics are not there."""

    def __init__(self, refusals: int, missing: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.refusals, self.missing = 0, missing
        self.append(GROWTH, [b"k"], [GROWN.to_value()], 0)
        self.refusals = refusals

    def partitions(self, topic: str) -> int:
        if topic in self.missing:
            raise Fatal(f"topic {topic} does not exist")
        return 1

    def end(self, topic: str, partition: int) -> int:
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
        return super().end(topic, partition)


def test_a_young_broker_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growths, "YOUNG_LOOK_S", 0.001)
    assert read_growths(Young(3)) == [GROWN]


def test_a_broker_that_never_answers_is_an_error_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growths, "YOUNG_LOOK_S", 0.001)
    monkeypatch.setattr(growths, "YOUNG_WAIT_S", 0.01)
    with pytest.raises(Fatal, match=r"cannot read usage\.growth"):
        read_growths(Young(1_000_000))
    with pytest.raises(Fatal, match=EVENTS):
        read_growths(Young(0, (EVENTS, GROWTH)))


def test_a_log_without_the_topic_never_grew() -> None:
    assert read_growths(Young(0, (GROWTH,))) == []
