"""The audit on real Kafka and the real ClickHouse engine: it agrees with honest books and names what was tampered with.

The same run shows bad input end to end: original bytes, offset and reason arrive on usage.quarantine and in ClickHouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Producer

from support.broker import eventually, read_all
from support.events import value
from support.priced_waves import priced, publish
from support.world import World
from tokenmeter.events import decode, encode
from tokenmeter.events.contract import ACCOUNT_STATE, BILLING, EVENTS, LEDGER, QUARANTINE
from tokenmeter.store.client import connect


class Books(World):
    """A metered and loaded log, and what was sent that could not be used: reason by original bytes."""

    bad: dict[bytes, str]


def bad_values() -> dict[bytes, str]:
    now = datetime.now(UTC)
    good = value(1, customer_id="customer-000001", occurred_at=now)
    return {
        good[: len(good) // 2]: "truncated",
        b"\x00\x00\x00\x00\x63" + good[5:]: "schema",
        b"not avro at all": "magic",
        value(2, event_id="late", customer_id="c", occurred_at=now - timedelta(days=36)): "late",
        value(3, event_id="early", customer_id="c", occurred_at=now + timedelta(minutes=6)): "early",
    }


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    folder: Path = tmp_path_factory.mktemp("audit")
    with Books.begun(folder, clickhouse=True, reads=("tokenmeter",)) as made:
        publish(made.bootstrap, *priced())
        for kind in ("meter", "ledger", "load"):
            made.worker(kind, slot="1")
        made.bad = bad_values()
        for _ in range(3):
            made.waves.wave(400)
            made.wait_read("meter")
        first = made.waves.sent[0]
        conflict = first.model_copy(update={"output_tokens": first.output_tokens + 1_000})
        made.bad[encode("usage_event", conflict.to_record())] = "conflict"
        made.produce((first.customer_id, damaged) for damaged in made.bad)
        made.waves.wave(400)
        made.wait_read("meter")
        eventually("all is stored", lambda: made.audit().ok, every_s=1.0)
        yield made


def test_honest_books_agree_in_every_place(books: Books) -> None:
    report = books.audit(processes=2)
    assert report.ok, report.difference
    assert report.accounts == len({decode(one.value).record["account_id"] for one in read_all(books.bootstrap, LEDGER)})
    assert {LEDGER, ACCOUNT_STATE} <= set(report.places)
    assert (report.events, report.duplicates, report.quarantined) == (1_600, 160, len(books.bad))
    assert report.pages > 2


def test_bad_input_is_kept_with_its_bytes_offset_and_reason(books: Books) -> None:
    log = {(record.partition, record.offset): record.value for record in read_all(books.bootstrap, EVENTS)}
    kept = [decode(record.value).record for record in read_all(books.bootstrap, QUARANTINE)]
    assert {one["value"]: one["reason"] for one in kept} == books.bad
    assert all(log[one["partition"], one["offset"]] == one["value"] for one in kept)
    rows = connect(books.server.url, "reader", "look").query("SELECT offset, reason FROM tokenmeter.quarantine FINAL")
    assert sorted(rows.result_rows) == sorted((one["offset"], one["reason"]) for one in kept)


@pytest.mark.parametrize(
    ("table", "field", "more"),
    [
        ("usage_billing", "output_tokens", "7"),
        ("usage_billing", "charge", "0.000000000001"),
        ("usage_billing", "tokens_squared", "1"),
        ("usage_market", "cost", "-0.000000000001"),
        ("usage_market", "latency_calls", "1"),
        ("usage_resale", "charge", "1"),
        ("ledger_entries", "calls", "1"),
        ("usage_pages", "charge", "1"),
        ("usage_pages", "catalog_offset", "1"),
    ],
)
def test_a_figure_changed_in_clickhouse_is_named_with_its_page_and_field(
    books: Books, table: str, field: str, more: str
) -> None:
    client = books.store
    line = "" if table == "usage_pages" else ", line"
    chosen = client.query(
        f"SELECT partition, first_offset{line} FROM tokenmeter.{table} FINAL WHERE {field} IS NOT NULL ORDER BY ALL"
    ).first_row

    def change(by: str) -> None:
        client.command(
            f"INSERT INTO tokenmeter.{table} SELECT * REPLACE ({field} + ({by}) AS {field}) FROM tokenmeter.{table} "
            f"FINAL WHERE (partition, first_offset{line}) = {chosen}"
        )

    change(f"toDecimal128('{more}', 12)" if "." in more else more)
    try:
        difference = books.audit().difference
        assert difference is not None
        assert difference.page.startswith(f"page {chosen[0]}@[{chosen[1]},")
        assert (difference.field, difference.place) == (field, f"ClickHouse {table}")
        assert difference.found - difference.expected == Decimal(more)
    finally:
        change(f"-toDecimal128('{more}', 12)" if "." in more else f"-{more}")


@pytest.mark.parametrize(("field", "place"), [("balance", "account.state"), ("calls", "ClickHouse account_states")])
def test_a_state_that_is_off_by_one_is_named_with_its_account(books: Books, field: str, place: str) -> None:
    honest = read_all(books.bootstrap, ACCOUNT_STATE)[-1]
    state = decode(honest.value).record
    client = books.store
    producer = Producer({"bootstrap.servers": books.bootstrap})

    def change(by: int) -> None:
        if place == ACCOUNT_STATE:
            forged = encode("account_state", {**state, field: state[field] + (by > 0)})
            producer.produce(ACCOUNT_STATE, forged, honest.key, honest.partition)
            assert producer.flush(30) == 0
        else:
            table = "tokenmeter.account_states"
            client.command(
                f"INSERT INTO {table} SELECT * REPLACE ({field} + {by} AS {field}) FROM {table} FINAL "
                f"WHERE account_id = '{state['account_id']}'"
            )

    change(1)
    try:
        difference = eventually("it is found", lambda: books.audit().difference)
        assert difference.page == f"account {state['account_id']}"
        assert (difference.field, difference.place) == (field, place)
        assert difference.found - difference.expected == 1
    finally:
        change(-1)
    # Nor is anything left of the figures changed above: each was the first that differed.
    eventually("the honest state is there again", lambda: books.audit().ok)


def test_a_line_forged_on_the_topic_is_named_with_its_page(books: Books) -> None:
    honest = read_all(books.bootstrap, BILLING)[0]
    line = decode(honest.value).record
    producer = Producer({"bootstrap.servers": books.bootstrap, "partitioner": "murmur2_random"})
    producer.produce(BILLING, encode("billing_line", line), honest.key)
    assert producer.flush(30) == 0
    difference = eventually("the forged line is found", lambda: books.audit().difference)
    assert difference.page.startswith(f"page {line['partition']}@[{line['first_offset']},")
    assert (difference.field, difference.place) == (f"line {line['line']}", "usage.billing")
