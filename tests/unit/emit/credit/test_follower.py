"""The end of a topic is found again after its broker was killed: what is known must not grow old for ever."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tokenmeter.emit.credit import follower
from tokenmeter.emit.credit.follower import _Ends

PLACE = ("catalog", 0)


class Admin:
    """Answers with the epoch it knows, as librdkafka's does: only metadata tells it of another."""

    def __init__(self) -> None:
        self.epoch = self.brokers_epoch = 1
        self.end, self.refreshed = 5, 0

    def list_offsets(self, wanted: Any, **given: Any) -> dict[Any, Future[Any]]:
        future: Future[Any] = Future()
        if self.epoch != self.brokers_epoch:
            future.set_exception(KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH)))
        else:
            future.set_result(SimpleNamespace(offset=self.end))
        return {TopicPartition(topic.topic, topic.partition): future for topic in wanted}

    def list_topics(self, timeout: float) -> None:
        self.refreshed += 1
        self.epoch = self.brokers_epoch


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    monkeypatch.setattr(follower, "ASK_EVERY_S", 0.0)
    return Admin()


def asked(ends: _Ends, position: int = 5) -> float | None:
    ends.ask()
    return ends.reached({PLACE: position})


def test_a_leader_of_another_epoch_is_asked_for_anew(admin: Admin) -> None:
    ends = _Ends(admin, [PLACE])  # type: ignore[arg-type]
    assert asked(ends) is not None
    admin.brokers_epoch = 2
    assert asked(ends) is None
    assert asked(ends) is not None
    assert admin.refreshed == 1


def test_a_client_that_is_not_told_of_the_epoch_stays_behind_for_ever(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: as it was before."""
    monkeypatch.setattr(follower, "_OLD_EPOCH", ())
    ends = _Ends(admin, [PLACE])  # type: ignore[arg-type]
    admin.brokers_epoch = 2
    assert [asked(ends) for _ in range(5)] == [None] * 5


def test_an_end_that_a_dying_leader_could_not_say_is_no_end(admin: Admin) -> None:
    ends = _Ends(admin, [PLACE])  # type: ignore[arg-type]
    assert asked(ends) is not None
    admin.end = -1001
    assert asked(ends) is None
    admin.end = 5
    assert asked(ends) is not None
