"""The end of a topic is found again after its broker was killed: what is known must not grow old for ever."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tokenmeter.emit.credit import follower
from tokenmeter.emit.credit.follower import _Ends
from tokenmeter.events.errors import Transient

PLACE = ("catalog", 0)


class Leader:
    """Answers with the epoch it knows, as librdkafka's does: only metadata tells it of another."""

    def __init__(self) -> None:
        self.epoch = self.brokers_epoch = 1
        self.end, self.asked, self.refreshed = 5, 0, 0

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked += 1
        if self.epoch != self.brokers_epoch:
            raise KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH))
        return [TopicPartition(one.topic, one.partition, self.end) for one in partitions]

    def list_topics(self, *, timeout: float) -> Any:
        self.refreshed += 1
        self.epoch = self.brokers_epoch


@pytest.fixture
def leader(monkeypatch: pytest.MonkeyPatch) -> Leader:
    monkeypatch.setattr(follower, "ASK_EVERY_S", 0.0)
    return Leader()


def asked(ends: _Ends, position: int = 5) -> float | None:
    ends.ask()
    return ends.reached({PLACE: position})


def test_a_leader_of_another_epoch_is_asked_for_anew(leader: Leader) -> None:
    ends = _Ends(leader, [PLACE])
    assert asked(ends) is not None
    leader.brokers_epoch = 2
    assert asked(ends) is None
    assert asked(ends) is not None
    assert leader.refreshed == 1


def test_a_client_that_is_not_told_of_the_epoch_stays_behind_for_ever(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: as it was before."""
    monkeypatch.setattr(follower, "_OLD_EPOCH", ())
    ends = _Ends(leader, [PLACE])
    leader.brokers_epoch = 2
    assert [asked(ends) for _ in range(5)] == [None] * 5


def test_an_end_that_a_dying_leader_could_not_say_is_no_end(leader: Leader) -> None:
    ends = _Ends(leader, [PLACE])
    assert asked(ends) is not None
    leader.end = -1001
    assert asked(ends) is None
    leader.end = 5
    assert asked(ends) is not None


def test_an_answer_is_as_old_as_its_question_and_none_is_asked_before_it_is_reached(leader: Leader) -> None:
    ends = _Ends(leader, [PLACE])
    assert asked(ends, 4) is None
    assert ends.open
    assert asked(ends, 4) is None
    assert leader.asked == 1
    assert asked(ends, 5) == ends._asked_at
    assert not ends.open


def test_a_topic_that_ends_before_where_it_ended_was_made_anew(leader: Leader) -> None:
    ends = _Ends(leader, [PLACE])
    assert asked(ends) is not None
    leader.end = 3
    with pytest.raises(Transient, match="made anew"):
        ends.ask()
