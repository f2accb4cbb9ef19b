"""The answer before a call: 200 or 402, with the reason; usage that has happened is never asked for credit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf
from typing import Any

import httpx
import pytest

from support.events import event
from support.gateway_app import served
from support.gateway_parts import parts
from tokenmeter.emit.credit.answer import OK, Answer
from tokenmeter.emit.gateway import make_app

KEY = {"Authorization": "Bearer k"}


class Credit:
    """A cache that refuses everybody but ``fine`` and what is free, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.age_s = 0.25

    def allowed(self, customer: str, **named: Any) -> Answer:
        self.asked.append((customer, named))
        return OK if customer == "fine" or named["free"] else Answer(False, "exhausted", "distributor")

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def credit() -> Credit:
    return Credit()


@pytest.fixture
def url(credit: Credit) -> Iterator[str]:
    with served(make_app(parts(("k",), credit=credit))) as url:
        yield url


def ask(url: str, path: str) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{url}/v1/allowed/{path}", headers=KEY)
    return answer.status_code, answer.json()


def test_a_call_that_may_be_made_is_200_and_any_other_402_with_its_reason(url: str, credit: Credit) -> None:
    assert ask(url, "fine") == (200, {"allowed": True, "reason": "ok", "account": None, "age_s": 0.25})
    assert ask(url, "other")[0] == 402
    credit.age_s = inf
    refused = {"allowed": False, "reason": "exhausted", "account": "distributor", "age_s": None}
    assert ask(url, "org/team%201?api_key=a&project=p&model=m/x&end_user=u") == (402, refused)
    named = {"api_key": "a", "project": "p", "model": "m/x", "end_user": "u", "free": False}
    assert credit.asked[-1] == ("org/team 1", named)
    assert ask(url, "other?free=true")[0] == 200


def test_a_question_that_nobody_understands_is_not_answered(url: str, credit: Credit) -> None:
    assert [ask(url, f"fine?{wrong}")[0] for wrong in ("key=a", "free=maybe")] == [422, 422]
    assert httpx.get(f"{url}/v1/allowed/fine").status_code == 401
    assert credit.asked == []


def test_usage_that_has_happened_is_taken_without_asking(url: str, credit: Credit) -> None:
    used = event(1, occurred_at=datetime.now(UTC), source="", sequence=None, customer_id="other")
    sent = httpx.post(f"{url}/v1/events", json=json.loads(used.model_dump_json()), headers=KEY)
    assert (sent.status_code, credit.asked) == (202, [])


def test_without_credit_nothing_is_allowed_or_refused() -> None:
    with served(make_app(parts())) as url:
        assert ask(url, "fine")[0] == 404
