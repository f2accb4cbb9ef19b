"""Who is told that events did not arrive is told why: which broker, and what is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from support.broker import eventually
from support.events import event
from tokenmeter.emit import Emitter, direct
from tokenmeter.emit.trouble import Trouble
from tokenmeter.events.errors import Undelivered

LONG_S = 600.0


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "UNKNOWN_HOST_S", 0.2)


def test_a_wrong_host_is_named_long_before_the_time_is_over() -> None:
    emitter = Emitter("no-such-host.invalid:9092")
    emitter.emit(event())
    began = time.monotonic()
    with pytest.raises(Undelivered, match=r"1 of 1 events .*no-such-host.invalid:9092.*[Rr]esolve"):
        emitter.flush(LONG_S)
    assert time.monotonic() - began < LONG_S / 2


def test_a_broker_that_is_away_is_named_and_waited_for() -> None:
    emitter = Emitter("127.0.0.1:1")
    emitter.emit(event())
    began = time.monotonic()
    with pytest.raises(Undelivered, match=r"127.0.0.1:1.*refused"):
        emitter.flush(1.5)
    assert time.monotonic() - began >= 1.5, "it may come back"


def test_only_names_alone_are_given_up_on_and_others_hear_too() -> None:
    heard: list[KafkaError] = []
    trouble = Trouble()
    hear = trouble.heard_by({"error_cb": heard.append})["error_cb"]
    assert trouble.told() == ""
    hear(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert "TOKENMETER_KAFKA_USER" in trouble.told(), "without another error they have hung up"
    hear(KafkaError(KafkaError._RESOLVE, "who?"))
    assert (trouble.is_name, trouble.told()) == (True, "; who?")
    hear(KafkaError(KafkaError._TRANSPORT, "refused"))
    hear(KafkaError(KafkaError._RESOLVE, "who?"))
    assert not trouble.is_name, "one broker has a name"
    assert len(heard) == 4


def test_a_spool_names_it_too(tmp_path: Path) -> None:
    emitter = Emitter("127.0.0.1:1", spool=tmp_path)
    emitter.emit(event())

    def told() -> str:
        with pytest.raises(Undelivered) as undelivered:
            emitter.flush(0.2)
        return str(undelivered.value)

    eventually("the cause is named", lambda: "127.0.0.1:1" in told() and "refused" in told())
    emitter.close(0)
