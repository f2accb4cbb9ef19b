"""Lines and page records changed on real topics: the audit names the page, the topic, the line and the field.

Each change is made to a copy of an honestly metered log on another broker. The honest copy must pass, so that what
is found is the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from support import oracle
from support.broker import Record, broker, eventually, lag
from support.copying import Topics, fill, snapshot, unchanged
from support.workers import WorkerProcess
from tokenmeter.events import decode, encode
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES
from tokenmeter.events.lines import page_digest
from tokenmeter.flow.meter_app import APP_ID
from tokenmeter.stack.audit import AuditOptions, AuditReport, AuditSources, run

HORIZON_MS = 15 * 60_000
PARTITIONS = 1


def audit(bootstrap: str) -> AuditReport:
    return run(
        AuditSources({"bootstrap.servers": bootstrap}, None, "", "", HORIZON_MS), AuditOptions(settle_ms=0, processes=1)
    )


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topics]:
    folder = tmp_path_factory.mktemp("honest")
    with broker(folder, PARTITIONS) as kafka:
        meter = WorkerProcess(folder, "meter", "meter", kafka.bootstrap, slot="1")
        try:
            waves = oracle.Load(kafka.bootstrap)
            for _ in range(4):
                waves.wave(40)
                eventually(f"the wave is metered; {meter.log}", lambda: lag(kafka.bootstrap, APP_ID, EVENTS) == 0)
            yield snapshot(kafka.bootstrap)
        finally:
            meter.kill()


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
        name = "billing_line" if topic == BILLING else "market_line"
        topics[topic][places[2]] = rewritten(topics[topic][places[2]], name, **{field: value})

    return change


def delete_line(topics: Topics) -> None:
    del topics[MARKET][of_page(topics, MARKET, 1)[1][2]]


def insert_line(topics: Topics) -> None:
    _, places = of_page(topics, BILLING, 1)
    last = topics[BILLING][places[-1]]
    number = decode(last.value).record["line"] + 1
    topics[BILLING].append(rewritten(last, "billing_line", line=number, customer_id="zzz"))


def double_line(topics: Topics) -> None:
    topics[BILLING].append(topics[BILLING][of_page(topics, BILLING, 1)[1][2]])


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
    values = [[topics[t][place].value for place in of_page(topics, t, -1)[1]] for t in (BILLING, MARKET)]
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
    "a deleted line": Case(delete_line, 1, "line 2", MARKET),
    "an inserted line": Case(insert_line, 1, "line {lines}", BILLING),
    "a doubled line": Case(double_line, 1, "line 2", BILLING),
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
    fill(copy, honest, PARTITIONS, APP_ID, case.change)
    found = audit(copy).difference
    assert found is not None
    assert found.page == f"page 0@[{page['first_offset']},{page['last_offset']}]", found
    assert (found.field, found.place) == (case.field.format(lines=page["billing_lines"]), case.place), found


def test_the_honest_copy_passes(honest: Topics, copy: str) -> None:
    fill(copy, honest, PARTITIONS, APP_ID, unchanged)
    report = audit(copy)
    assert report.ok, report.difference
    assert (report.pages, report.events, report.duplicates) == (len(honest[PAGES]), 160, 16)


def test_a_forged_page_appended_and_a_value_that_is_no_line_are_named(honest: Topics, copy: str) -> None:
    def change(topics: Topics) -> None:
        append_page(topics)
        no_line(topics)

    end = decode(honest[PAGES][-1].value).record["last_offset"] + 1
    fill(copy, honest, PARTITIONS, APP_ID, change)
    found = {(difference.page, difference.field) for difference in audit(copy).differences}
    assert found == {
        (f"page 0@[{end},{end + 9}]", "events_in"),
        (f"{BILLING}/0 offset {len(honest[BILLING])}", "value"),
    }
