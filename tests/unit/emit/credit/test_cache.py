"""How old an answer is, what the cache says when it is too old, and case C21: five answers, each with its fail mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from math import inf
from typing import Any

import pytest

from support.catalog_rows import account
from support.ledger_desk import NOON, Desk, prepaid
from tokenmeter.emit.credit.answer import OK, Answer
from tokenmeter.emit.credit.cache import CreditCache
from tokenmeter.events.contract import ACCOUNT_STATE, CATALOG
from tokenmeter.events.errors import Misconfigured

DAY = timedelta(days=1)
ROWS = (
    account("fine", credit_limit=Decimal(100)),
    prepaid("exhausted"),
    prepaid("expired"),
    account("suspended", status="SUSPENDED"),
)


class Message:
    """A record as the Kafka client hands it out."""

    def __init__(self, topic: str, key: str, value: bytes | None, offset: int = 0) -> None:
        self._told = topic, key.encode(), value, offset

    def topic(self) -> str:
        return self._told[0]

    def partition(self) -> int:
        return 0

    def key(self) -> bytes:
        return self._told[1]

    def value(self) -> bytes | None:
        return self._told[2]

    def offset(self) -> int:
        return self._told[3]


class Silent:
    """A follower that reads nothing: the test hands over the records, and says when the cache has caught up."""

    def __init__(self, client: Any, take: Any, tick: Any) -> None:
        self.take, self.tick = take, tick
        self.caught_up_at: float | None = None

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to stop."""


class Held:
    """A cache and its two clocks."""

    def __init__(self, **settings: Any) -> None:
        self.at, self.passed_s = NOON, 1_000.0
        clocks = {"clock": lambda: self.at.timestamp(), "monotonic": lambda: self.passed_s}
        self.cache = CreditCache("nowhere", staleness_s=10, **clocks, **settings)
        follower: Any = self.cache._follower
        self.follower: Silent = follower
        desk = Desk(*ROWS)
        desk.post(desk.entry("GRANT", 5, "expired", expires_at=NOON + DAY))
        desk.spend(1, "fine")
        desk.restart()
        for offset, row in enumerate(ROWS):
            self.follower.take(Message(CATALOG, "", row.to_value(), offset))
        for account_id, value in desk.states.items():
            self.follower.take(Message(ACCOUNT_STATE, account_id, value))

    def catch_up(self) -> None:
        self.follower.caught_up_at = self.passed_s
        self.follower.tick()


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenmeter.emit.credit.cache.Follower", Silent)


@contextmanager
def held(**settings: Any) -> Iterator[Held]:
    one = Held(**settings)
    with one.cache:
        yield one


def test_five_reasons_have_five_answers_and_each_its_fail_mode() -> None:
    """C21."""
    customers = ("nobody", "exhausted", "expired", "suspended", "fine")
    reasons = ("unknown", "exhausted", "expired", "suspended", "stale")

    def asked(**settings: Any) -> list[Answer]:
        with held(**settings) as one:
            one.catch_up()
            one.at += DAY
            answers = [one.cache.allowed(customer) for customer in customers[:-1]]
            assert one.cache.allowed("fine") == OK
            one.passed_s += 10.1
            return [*answers, one.cache.allowed("fine")]

    for settings, allowed in [
        ({}, [True, False, False, False, True]),
        ({"fail": dict.fromkeys(reasons, "allow")}, [True] * 5),
        ({"fail": dict.fromkeys(reasons, "refuse")}, [False] * 5),
    ]:
        answers = asked(**settings)
        assert [answer.reason for answer in answers] == list(reasons)
        assert [answer.allowed for answer in answers] == allowed, settings


def test_before_it_has_caught_up_it_knows_no_reason_but_stale() -> None:
    with held() as one:
        assert (one.cache.ready, one.cache.age_s) == (False, inf)
        assert {one.cache.allowed(name) for name in ("fine", "exhausted", "nobody")} == {Answer(True, "stale", None)}
        one.catch_up()
        assert (one.cache.ready, one.cache.age_s, one.cache.allowed("fine")) == (True, 0, OK)


def test_age_is_told_and_bounded_and_a_refusal_outlasts_it() -> None:
    with held(fail={"stale": "refuse"}) as one:
        one.catch_up()
        one.passed_s += 10
        assert (one.cache.age_s, one.cache.allowed("fine")) == (10, OK)
        one.passed_s += 0.1
        assert one.cache.allowed("fine") == Answer(False, "stale", None)
        assert one.cache.allowed("exhausted") == Answer(False, "exhausted", "exhausted")
        one.catch_up()
        assert one.cache.allowed("fine") == OK


def test_a_record_that_is_none_is_counted_and_changes_nothing() -> None:
    with held() as one:
        one.catch_up()
        for topic in (ACCOUNT_STATE, CATALOG):
            one.follower.take(Message(topic, "fine", b"\x00\x00\x00\x00\x63abc"))
        assert (one.cache.unreadable, one.cache.allowed("fine")) == (2, OK)
        one.follower.take(Message(ACCOUNT_STATE, "exhausted", None))
        assert len(one.cache) == len(ROWS)


def test_a_bound_below_what_is_asked_of_kafka_is_refused() -> None:
    with pytest.raises(Misconfigured, match="staleness"):
        CreditCache("nowhere", staleness_s=0.1)
