"""Lines, page records and the catalog changed on real topics: the audit names the page, topic, line and field.

Each change is made to a copy of an honestly metered log on another broker. The honest copy must pass, so that what
is found is the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from support.broker import Record, broker
from support.catalog_rows import LONG_AGO, price
from support.copying import Topics, fill, snapshot, unchanged
from support.priced_waves import priced, publish
from support.world import World
from tokenmeter.audit import AuditOptions, AuditReport, AuditSources, run
from tokenmeter.events import decode, encode
from tokenmeter.events.contract import BILLING, CATALOG, LEDGER, MARKET, PAGES, QUARANTINE, RESALE
from tokenmeter.events.groups import METER
from tokenmeter.events.lines import page_digest

HORIZON_MS = 15 * 60_000
PARTITIONS = 1


RECORDS = {BILLING: "billing_line", MARKET: "market_line", RESALE: "resale_line", LEDGER: "ledger_entry"}
CHEAPER = price("*", 1_000_000, effective_from=LONG_AGO + timedelta(days=1))
"""Known from the third wave on."""


def audit(bootstrap: str) -> AuditReport:
    return run(
        AuditSources({"bootstrap.servers": bootstrap}, None, "", "", HORIZON_MS), AuditOptions(settle_ms=0, processes=1)
    )


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topics]:
    with World.begun(tmp_path_factory.mktemp("honest"), PARTITIONS) as world:
        publish(world.bootstrap, *priced())
        world.worker("meter", slot="1")
        for number in range(4):
            if number == 2:
                publish(world.bootstrap, CHEAPER)
            world.waves.wave(40)
            world.wait_read("meter")
        yield snapshot(world.bootstrap)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the copies are made."""
    with broker(tmp_path_factory.mktemp("copy"), PARTITIONS) as kafka:
        yield kafka.bootstrap


def of_page(topics: Topics, topic: str, number: int) -> tuple[dict[str, Any], list[int]]:
    """A page by its number, and the places of its lines in the topic's records."""
    page = decode(topics[PAGES][number].value).record
    lines = [decode(record.value).record for record in topics[topic]]
    return page, [place for place, line in enumerate(lines) if line["first_offset"] == page["first_offset"]]


def rewritten(record: Record, name: str, **fields: Any) -> Record:
    return replace(record, value=encode(name, {**decode(record.value).record, **fields}))


def flip(topic: str, field: str, value: Any) -> Callable[[Topics], None]:
    def change(topics: Topics) -> None:
        _, places = of_page(topics, topic, 1)
        topics[topic][places[2]] = rewritten(topics[topic][places[2]], RECORDS[topic], **{field: value})

    return change


def delete_line(topic: str) -> Callable[[Topics], None]:
    def change(topics: Topics) -> None:
        del topics[topic][of_page(topics, topic, 1)[1][2]]

    return change


def reprice(number: int, catalog_offset: int) -> Callable[[Topics], None]:
    def change(topics: Topics) -> None:
        topics[PAGES][number] = rewritten(topics[PAGES][number], "page", catalog_offset=catalog_offset)

    return change


def exchange_prices(topics: Topics) -> None:
    """The catalog that the lines were made by is another one now."""
    topics[CATALOG][0] = replace(topics[CATALOG][0], value=price("*", 3_000_001).to_value())


def no_row(topics: Topics) -> None:
    topics[CATALOG].append(Record(0, 0, 0, None, b"not a row"))


def insert_line(topics: Topics) -> None:
    _, places = of_page(topics, BILLING, 1)
    last = topics[BILLING][places[-1]]
    number = decode(last.value).record["line"] + 1
    topics[BILLING].append(rewritten(last, "billing_line", line=number, customer_id="zzz"))


def double_line(topics: Topics) -> None:
    topics[BILLING].append(topics[BILLING][of_page(topics, BILLING, 1)[1][2]])


def double_entry(topics: Topics) -> None:
    topics[LEDGER].append(topics[LEDGER][of_page(topics, LEDGER, 1)[1][2]])


def reorder_lines(topics: Topics) -> None:
    records, (_, places) = topics[BILLING], of_page(topics, BILLING, 1)
    records[places[2]], records[places[3]] = records[places[3]], records[places[2]]


def exchange_numbers(topics: Topics) -> None:
    records, (_, places) = topics[BILLING], of_page(topics, BILLING, 1)
    one, other = records[places[2]], records[places[3]]
    records[places[2]], records[places[3]] = (
        rewritten(other, "billing_line", line=2),
        rewritten(one, "billing_line", line=3),
    )


def no_line(topics: Topics) -> None:
    topics[BILLING].append(Record(0, 0, 0, None, b"not a line"))


def delete_page(topics: Topics) -> None:
    del topics[PAGES][1]


def delete_last_page(topics: Topics) -> None:
    del topics[PAGES][-1]


def delete_first_page(topics: Topics) -> None:
    del topics[PAGES][0]


def double_page(topics: Topics) -> None:
    topics[PAGES].insert(2, topics[PAGES][1])


def forge_figures(topics: Topics) -> None:
    """The last page, with a figure changed and sealed again: its digest is right."""
    page, _ = of_page(topics, BILLING, -1)
    forged = {**page, "output_tokens": page["output_tokens"] + 1}
    values = [[topics[t][place].value for place in of_page(topics, t, -1)[1]] for t in (BILLING, MARKET, RESALE)]
    digest = page_digest(page["previous_digest"], encode("page", {**forged, "digest": b""}), *values)
    topics[PAGES][-1] = rewritten(topics[PAGES][-1], "page", **{**forged, "digest": digest})


def forge_digest(topics: Topics) -> None:
    topics[PAGES][-1] = rewritten(topics[PAGES][-1], "page", digest=b"x" * 32)


def append_page(topics: Topics) -> None:
    """A page of events that never were."""
    last = decode(topics[PAGES][-1].value).record
    first = last["last_offset"] + 1
    forged = {**last, "first_offset": first, "last_offset": first + 9, "previous_digest": last["digest"]}
    topics[PAGES].append(rewritten(topics[PAGES][-1], "page", **forged))


@dataclass(frozen=True)
class Case:
    change: Callable[[Topics], None]
    page: int
    field: str
    place: str


CASES = {
    "a flipped billing figure": Case(flip(BILLING, "output_tokens", 1), 1, "line 2 output_tokens", BILLING),
    "a flipped customer": Case(flip(BILLING, "customer_id", "customer-x"), 1, "line 2 customer_id", BILLING),
    "a flipped market figure": Case(flip(MARKET, "events", 9_999), 1, "line 2 events", MARKET),
    "a price from nowhere": Case(flip(BILLING, "price_id", "p"), 1, "line 2 price_id", BILLING),
    "a changed charge": Case(flip(BILLING, "charge", Decimal("0.000000000001")), 1, "line 2 charge", BILLING),
    "no charge": Case(flip(BILLING, "charge", None), 1, "line 2 charge", BILLING),
    "another currency": Case(flip(BILLING, "currency", "EUR"), 1, "line 2 currency", BILLING),
    "other squares": Case(flip(BILLING, "tokens_squared", Decimal(10) ** 20), 1, "line 2 tokens_squared", BILLING),
    "another seller": Case(flip(RESALE, "seller_id", "dealer-2"), 1, "line 2 seller_id", RESALE),
    "a changed charge of a dealer": Case(flip(RESALE, "charge", Decimal(1)), 1, "line 2 charge", RESALE),
    "a cost of the market": Case(flip(MARKET, "cost", Decimal(10) ** 25), 1, "line 2 cost", MARKET),
    "a catalog older than that of the page before": Case(reprice(-1, 0), -1, "catalog_offset", PAGES),
    "a catalog that is not there": Case(reprice(-1, 10**6), -1, "catalog_offset", PAGES),
    "a catalog that knew no price": Case(reprice(0, 0), 0, "resale_lines", PAGES),
    "an exchanged price": Case(exchange_prices, 0, "charge", PAGES),
    "a deleted line": Case(delete_line(MARKET), 1, "line 2", MARKET),
    "a deleted resale line": Case(delete_line(RESALE), 1, "line 2", RESALE),
    "an inserted line": Case(insert_line, 1, "line {lines}", BILLING),
    "a doubled line": Case(double_line, 1, "line 2", BILLING),
    "a missing entry": Case(delete_line(LEDGER), 1, "entry 2", LEDGER),
    "a doubled entry": Case(double_entry, 1, "entry 2", LEDGER),
    "another amount": Case(flip(LEDGER, "amount", Decimal(-1)), 1, "account {account} {day} charge USD", LEDGER),
    "reordered lines": Case(reorder_lines, 1, "line 3 order", BILLING),
    "exchanged line numbers": Case(exchange_numbers, 1, "line 2 customer_id", BILLING),
    "a missing page": Case(delete_page, 2, "first_offset", PAGES),
    "a missing last page": Case(delete_last_page, -1, "record", PAGES),
    "a missing first page": Case(delete_first_page, 0, "record", PAGES),
    "a doubled page": Case(double_page, 1, "record", PAGES),
    "a forged page": Case(forge_figures, -1, "output_tokens", PAGES),
    "a forged digest": Case(forge_digest, -1, "digest", PAGES),
}


@pytest.mark.parametrize("name", CASES)
def test_the_change_is_named_with_its_page_line_and_field(honest: Topics, copy: str, name: str) -> None:
    case = CASES[name]
    page = decode(honest[PAGES][case.page].value).record
    entry = decode(honest[LEDGER][of_page(honest, LEDGER, 1)[1][2]].value).record
    named = {"lines": page["billing_lines"], "account": entry["account_id"], "day": f"{entry['occurred_day']:%Y-%m-%d}"}
    fill(copy, honest, PARTITIONS, METER.id, case.change)
    found = audit(copy).difference
    assert found is not None
    assert found.page == f"page 0@[{page['first_offset']},{page['last_offset']}]", found
    assert (found.field, found.place) == (case.field.format(**named), case.place), found


def test_the_honest_copy_passes(honest: Topics, copy: str) -> None:
    fill(copy, honest, PARTITIONS, METER.id, unchanged)
    report = audit(copy)
    assert report.ok, report.difference
    assert (report.pages, report.events, report.duplicates) == (len(honest[PAGES]), 160, 16)


def test_the_honest_log_has_what_the_cases_change(honest: Topics) -> None:
    pages = [decode(record.value).record for record in honest[PAGES]]
    assert pages[0]["catalog_offset"] < pages[-1]["catalog_offset"] == len(honest[CATALOG])
    assert all(page["resale_lines"] > 2 and page["charge"] and page["cost"] for page in pages)
    assert CHEAPER.row_id in {decode(record.value).record["price_id"] for record in honest[BILLING]}


def test_a_forged_page_is_a_difference_and_a_strangers_record_is_none(honest: Topics, copy: str) -> None:
    def change(topics: Topics) -> None:
        append_page(topics)
        no_line(topics)
        no_row(topics)

    end = decode(honest[PAGES][-1].value).record["last_offset"] + 1
    fill(copy, honest, PARTITIONS, METER.id, change)
    report = audit(copy)
    assert [(found.page, found.field) for found in report.differences] == [(f"page 0@[{end},{end + 9}]", "events_in")]
    strangers = [(BILLING, len(honest[BILLING]), "magic"), (CATALOG, len(honest[CATALOG]), "magic")]
    assert sorted((one.topic, one.offset, one.reason) for one in report.foreign) == sorted(strangers)
    assert any(line.startswith(f"FOREIGN: {BILLING}/0: the record at offset") for line in report.lines())


def test_strangers_records_on_every_topic_leave_the_audit_as_it_was(honest: Topics, copy: str) -> None:
    def change(topics: Topics) -> None:
        for topic in (BILLING, MARKET, RESALE, PAGES, LEDGER, CATALOG, QUARANTINE):
            topics[topic].append(Record(0, 0, 0, None, b"evil"))

    fill(copy, honest, PARTITIONS, METER.id, change)
    report = audit(copy)
    assert report.ok, report.difference
    assert {one.topic for one in report.foreign} == {BILLING, MARKET, RESALE, PAGES, LEDGER, CATALOG, QUARANTINE}
