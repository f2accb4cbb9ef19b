"""The audit's money in columns: limbs, pages that 64 bits cannot hold, lines of both versions, what the report says."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.catalog_rows import price
from support.events import NOW_MS, event
from support.found_lines import side_by_side
from tokenmeter.audit.amounts import carried, limbs, total, unscaled_limbs
from tokenmeter.audit.blocks import Block, cut
from tokenmeter.audit.catalog import Catalog
from tokenmeter.audit.columnar import ColumnarRecount
from tokenmeter.audit.compare import Counted, PageEvidence, compare
from tokenmeter.audit.facts import Keys
from tokenmeter.audit.linestore import Kept, fetch, keep
from tokenmeter.audit.rated import PageTotals
from tokenmeter.audit.recount import (
    BILLING_LINES,
    RECORDS,
    UNRATED_KINDS,
    Recount,
    Rules,
    decimal,
    ordered,
    single,
)
from tokenmeter.audit.reference import LogRecord, recount
from tokenmeter.audit.report import AuditReport
from tokenmeter.audit.walk import walk_lines
from tokenmeter.events import wire
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import QUANTITY_FIELDS, versions
from tokenmeter.events.rating import amount

HORIZON_MS = 60_000
ZEROS = {
    **dict.fromkeys(("partition", "line", "events", "errors", *QUANTITY_FIELDS), 0),
    **dict.fromkeys(("charge", "cost"), None),
}


def test_limbs_add_up_whatever_the_signs_and_equal_amounts_have_equal_limbs() -> None:
    chance = random.Random(1)
    amounts = [chance.choice([-1, 1]) * chance.randrange(2 ** chance.randrange(1, 62)) for _ in range(1_000)]
    low, high = limbs(np.array(amounts))
    assert total(low, high) == sum(amounts)
    summed, whole = carried(low[:1] + low[1:2], high[:1] + high[1:2]), limbs(np.array([amounts[0] + amounts[1]]))
    assert [int(limb[0]) for limb in summed] == [int(limb[0]) for limb in whole]


def test_a_line_says_any_amount_that_limbs_hold() -> None:
    amounts = [None, 0, 1, -1, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63), 2**63, 10**24, -(10**24)]
    found = walk_lines(BILLING_LINES.schema, [billing_line(charge=decimal("charge", one)) for one in amounts])
    read = unscaled_limbs(found, "charge")
    assert found.ok.all() and read is not None
    assert [int(low) + (int(high) << 32) for low, high in zip(*read, strict=True)] == [one or 0 for one in amounts]
    vast = walk_lines(BILLING_LINES.schema, [billing_line(charge=amount(10**29))])
    assert vast.ok.all() and unscaled_limbs(vast, "charge") is None


def billing_line(version: int = 2, **fields: Any) -> bytes:
    schema = versions("billing_line")[version - 1]
    made = {"customer_id": "c", "model": "m", "variant": "standard", "provider": "p", "first_offset": 7}
    hour = {"occurred_hour": event().occurred_at}
    return wire.encode_as(schema, {**ZEROS, **made, **hour, **fields})


def test_lines_of_both_versions_are_kept(tmp_path: Path) -> None:
    values = [billing_line(version, line=number) for number, version in enumerate((1, 1, 2, 1))]
    kept = Kept()
    block = Block(values, np.arange(4), np.full(4, NOW_MS))
    keep("billing_line", 3, [block.part(0, 2), block.part(2, 4)], tmp_path / "lines", kept)
    assert not kept.foreign
    assert fetch(kept.segments["billing_line"][0, 7]).values == values


def counted(rows: list[CatalogRow], values: list[bytes], rules: Rules) -> tuple[PageTotals, Recount]:
    """A page in columns, and by the reference."""
    catalog = Catalog(list(enumerate(rows)))
    block = Block(values, np.arange(len(values)), np.full(len(values), NOW_MS))
    counter = ColumnarRecount(Keys.drawn(), HORIZON_MS, frozenset(), catalog, {0: rules})
    bounds = [(0, len(values) - 1)]
    (fast,) = (page for part in cut([block], bounds) for page in counter.count(part))
    log = [LogRecord(offset, NOW_MS, value) for offset, value in enumerate(values)]
    return fast, next(recount(log, bounds, HORIZON_MS, charges=catalog.charges, rules={0: rules}))


VAST = price("a/one", {"input_tokens": 10**18})


def vast_calls() -> list[bytes]:
    most = {"input_tokens": 10**12, "cached_input_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0}
    return [wire.encode("usage_event", event(n, model="a/one", status=200, **most).to_record()) for n in range(3)]


def test_a_page_whose_money_64_bits_cannot_hold_is_left_to_the_reference() -> None:
    fast, slow = counted([VAST], vast_calls(), Rules(1))
    assert not fast.exact
    assert single(slow.charges) == (amount(3 * 10**30), "USD")
    assert Counted.by_reference(slow, Rules(1)).sums("billing_line")["tokens_squared"] == 3 * 10**24
    assert counted([price("a/one", 10**6)], [wire.encode("usage_event", event(1).to_record())], Rules(1))[0].exact


@pytest.mark.parametrize(
    ("rules", "field", "change"),
    [
        (Rules(1), "digest", {}),
        (Rules(1), "line 1 charge", {"charge": Decimal(1)}),
        (Rules(1), "line 1 plan_id", {"plan_id": "gold"}),
        (Rules(0, UNRATED_KINDS), "digest", {}),
        (Rules(0, UNRATED_KINDS), "line 1 charge", {"charge": Decimal(0)}),
    ],
)
def test_what_the_reference_alone_counted_is_compared_field_by_field(
    rules: Rules, field: str, change: dict[str, Any]
) -> None:
    _, slow = counted([VAST], vast_calls(), rules)
    (charge, currency), lines = single(slow.charges), {record: side_by_side([]) for record in RECORDS}
    for kind in rules.kinds:
        made = ordered((slow.lines or {})[kind.record])
        place = {"partition": 0, "first_offset": 0}
        records = [{**place, "line": number, **kind.fields(*one)} for number, one in enumerate(made)]
        if kind.record == "billing_line":
            records[1] |= change
        values = [wire.encode_as(kind.schema, record) for record in records]
        lines[kind.record] = side_by_side(values)
    page = {**vars(slow), **slow.quantities, "partition": 0, "quarantined": 0, "charge": charge, "currency": currency}
    page |= {"cost": None, "cost_currency": None, "previous_digest": b"", "digest": b"forged"}
    page |= {f"{record.removesuffix('_line')}_lines": len(lines[record]) for record in RECORDS}
    page |= {"earliest_occurred_at": slow.earliest, "latest_occurred_at": slow.latest}
    found = compare(Counted.by_reference(slow, rules), PageEvidence(page, bytes(40), b"", lines, [], {}))
    assert found is not None and found.field == field, found


def test_the_report_never_adds_currencies_and_says_what_was_compared() -> None:
    report = AuditReport(places=["usage.pages"], charges={"USD": 15 * 10**11, "EUR": 1}, unpriced=2)
    assert list(report.lines())[-2:] == [
        "0 pages agree: 0 records = 0 events + 0 duplicates + 0 quarantined; log = usage.pages (0.0 s)",
        "charged 0.000000000001 EUR and 1.500000000000 USD; cost nothing; 2 events unpriced",
    ]
    assert report.as_dict()["charges"] == {"EUR": "0.000000000001", "USD": "1.500000000000"}
