"""A call to Kafka that does not return ends the worker, whatever timeout the client was given."""

from __future__ import annotations

import threading

import pytest

from support.broker import eventually
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.faust.watchdog import STALL_SECONDS
from tokenmeter.flow.page import driver, steps
from tokenmeter.flow.page.calls import KAFKA_CALL_S, OFFSETS_CALL_S, Calls
from tokenmeter.flow.page.driver import KafkaDriver


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_call_is_late_after_its_time_and_no_other_is() -> None:
    clock = Clock()
    calls = Calls(clock)
    with calls.made("commit"), calls.made("position", OFFSETS_CALL_S):
        clock.now = OFFSETS_CALL_S
        assert calls.late() == []
        clock.now += 0.1
        assert calls.late() == ["position"]
        clock.now = KAFKA_CALL_S + 0.1
        assert calls.late() == ["commit", "position"]
    assert calls.late() == []


def test_one_that_raises_is_over() -> None:
    clock = Clock()
    calls = Calls(clock)
    with pytest.raises(OSError), calls.made("x"):
        raise OSError
    clock.now = 1_000
    assert calls.late() == []


def test_a_position_that_hangs_as_librdkafka_does_ends_the_worker_long_before_its_watchdog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hang itself was seen with Kafka 4.4 and librdkafka 2.x: the broker killed under the call."""
    clock, let_go, died = Clock(), threading.Event(), list[BaseException]()
    calls = Calls(clock)
    monkeypatch.setattr(driver, "CALLS", calls)

    class Hanging:
        def send_offsets_to_transaction(self, *args: object) -> None:
            assert let_go.wait(120)

    one = KafkaDriver({}, "app", "topic", 3)
    one._producer = Hanging()  # type: ignore[assignment]
    thread = threading.Thread(target=one.perform, args=[steps.SendOffsets(7)])
    thread.start()
    try:
        calls.watch(died.append, look_s=0.01)
        eventually("the call is under way", lambda: bool(calls._due))
        clock.now = OFFSETS_CALL_S + 1
        eventually("it is told", lambda: bool(died))
    finally:
        let_go.set()
        thread.join()
    assert isinstance(died[0], Fatal) and "SendOffsets of app on topic/3 does not return" in str(died[0])
    assert max(OFFSETS_CALL_S, KAFKA_CALL_S) < STALL_SECONDS / 2
