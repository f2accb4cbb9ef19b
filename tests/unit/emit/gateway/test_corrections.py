"""No key erases a bill without the right to, nor with it what is not there: each fault is a way to do so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import pytest

from support.gateway_parts import Client, Told, key_row, parts, row
from tokenmeter.emit.gateway.corrections import Call
from tokenmeter.events.errors import Transient

ORIGINAL = row(1, customer_id="acme")
AT = ORIGINAL["occurred_at"]
RIGHTS = ("usage", "correction")


def existing(customer: str, calls: Collection[Call]) -> Collection[Call]:
    """A store that knows ORIGINAL."""
    at_us = round(datetime.fromisoformat(AT).timestamp() * 1e6)
    return {(ORIGINAL["event_id"], at_us)} & set(calls) if customer == "acme" else set()


def correction(**fields: Any) -> dict[str, Any]:
    made = {"customer_id": "acme", "event_id": "c-1", "occurred_at": AT, "cached_input_tokens": 0, "output_tokens": 0}
    made |= {"kind": "CORRECTION", "corrects": ORIGINAL["event_id"], "input_tokens": -5, "reasoning_tokens": 0}
    return {**row(1), **made, **fields}


@pytest.fixture
def client() -> Client:
    told = Told(
        key_row("usage", customer_id="acme", rights=("usage", "read")),
        key_row("corrects", customer_id="acme", rights=RIGHTS),
        key_row("only", customer_id="acme", rights=("correction",)),
        key_row("rival", customer_id="rival", rights=RIGHTS),
        key_row("own", rights=RIGHTS),
    )
    return Client(parts(("env",), ("admin",), told, existing=existing))


@pytest.mark.parametrize(
    ("key", "fields", "status", "field"),
    [
        ("corrects", {}, 202, ""),
        ("own", {}, 202, ""),
        ("admin", {}, 202, ""),
        ("usage", {}, 403, "kind"),
        ("env", {}, 403, "kind"),
        ("rival", {}, 403, "customer_id"),
        ("rival", {"customer_id": "rival"}, 422, "corrects"),
        ("own", {"customer_id": "rival"}, 422, "corrects"),
        ("corrects", {"corrects": "never"}, 422, "corrects"),
        ("corrects", {"corrects": "page:0@7"}, 422, "corrects"),
        ("corrects", {"occurred_at": AT.replace(":", ":0", 0).replace("Z", "+01:00")}, 422, "corrects"),
    ],
)
def test_a_correction_needs_its_right_and_a_call_of_its_customer(
    client: Client, key: str, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = client.post(correction(**fields), key)
    assert answer.status_code == status, answer.text
    assert not field or answer.json()["faults"][0]["field"] == field
    assert len(client.outbox.records) == (status == 202)


def test_a_key_for_corrections_alone_sends_no_usage(client: Client) -> None:
    assert client.post(ORIGINAL, "only").status_code == 403
    assert client.post(correction(), "only").status_code == 202


def test_beside_good_neighbours_only_the_unknown_one_is_left_out(client: Client) -> None:
    rows = [row(2, customer_id="acme"), correction(corrects="never"), correction()]
    answer = client.post(rows, "corrects", params={"partial": "true"})
    assert [one["status"] for one in answer.json()["results"]] == [202, 422, 202]


def test_where_nobody_can_look_nothing_is_corrected_and_usage_goes_on() -> None:
    def silent(customer: str, calls: Collection[Call]) -> Collection[Call]:
        raise Transient("ClickHouse does not answer")

    for found, status in ((None, 501), (silent, 503)):
        client = Client(parts((), ("admin",), existing=found))
        assert client.post([row(2), correction()], "admin").status_code == status
        assert client.outbox.records == []
        assert client.post(row(2), "admin").status_code == 202
