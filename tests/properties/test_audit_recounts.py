"""The audit's columnar recount says what its record-by-record reference says, on batches full of damage and repeats.

Every log has a catalog of its own, of which each page knows a part. The controls believe every value that the walk got
through, rate one part of time by another, forget the levels above, and must be caught by the same check.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from aiokafka.partitioner import murmur2 as kafkas_murmur2

from properties.test_fuzzed_batches import damaged
from support.events import NOW, NOW_MS, event, value
from support.found_lines import side_by_side
from support.plausible_catalog import plausible_catalog
from support.seeds import seeds
from tokenmeter.audit import lines
from tokenmeter.audit import versions as older
from tokenmeter.audit.amounts import LOW_MASK
from tokenmeter.audit.blocks import Block, Bounds, cut
from tokenmeter.audit.catalog import Catalog
from tokenmeter.audit.columnar import ColumnarRecount
from tokenmeter.audit.facts import Keys
from tokenmeter.audit.lines import same
from tokenmeter.audit.pieces import Pieces
from tokenmeter.audit.rated import PageTotals
from tokenmeter.audit.ratings import Ratings
from tokenmeter.audit.recount import UNRATED_KINDS, LineKind, Recount, Rules, ordered, sums
from tokenmeter.audit.reference import LogRecord, recount
from tokenmeter.audit.routes import Route, Strangers, murmur2
from tokenmeter.audit.walk import walk
from tokenmeter.audit.walked import NULL, Walked
from tokenmeter.events import wire
from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.contract import Schema, versions
from tokenmeter.events.errors import Poison
from tokenmeter.events.rating import Rating

LOGS, LOGS_OFTEN = 40, 16
RECORDS = 600
HORIZON_MS = 2_000
PARTITION = 3


def described(number: int) -> dict[str, Any]:
    """What a rating depends on, and what is told of single calls."""
    chance = random.Random(number)
    return {
        "byok": chance.random() < 0.1,
        "variant": chance.choice(["standard", "free", "fast"]),
        "service_tier": chance.choice([None, "flex"]),
        "latency_ms": chance.choice([None, -1, 0, 300]),
        "duration_ms": chance.choice([None, 0, 300, 2_000]),
        "images_in": chance.choice([0, 0, 3]),
        "reported_cost": chance.choice([None, Decimal(0), Decimal("-0.5"), Decimal("1234567.000000000001")]),
        "tags": tuple(f"tag-{place}" for place in range(chance.choice([0] * 20 + [3, 64, 65, 200]))),
    }


def log(chance: random.Random, prices: Sequence[str]) -> list[LogRecord]:
    """Fresh events, repeats, conflicts and every kind of damage, with gaps in the offsets."""
    offset, at_ms, records = 5, NOW_MS, []
    for number in range(RECORDS):
        offset += chance.choice([1, 1, 1, 2])
        at_ms += chance.choice([0, 0, 0, 50, 200])
        draw, repeated = chance.random(), chance.randrange(60)
        if draw < 0.5:
            made: bytes | None = value(repeated, **described(repeated))
        elif draw < 0.7:
            made = value(repeated, output_tokens=5_000 + chance.randrange(3), reasoning_tokens=0)
        elif draw < 0.9:
            customer_id = chance.choice(["顧客-7", "c", "cus_1"])
            made = value(1_000 + number, customer_id=customer_id, **described(number))
        else:
            made = correction(chance, number, prices)
        assert made is not None
        if chance.random() < 0.1:
            made = as_version_1(made)
        if chance.random() < 0.1:
            made = damaged(chance, made)
        records.append(LogRecord(offset, at_ms, made if chance.random() > 0.01 else None))
    return records


def correction(chance: random.Random, number: int, prices: Sequence[str]) -> bytes:
    """Signed deltas for some calls, with a context bucket or a rating or, now and then, one that there is not."""
    price, cost = chance.choice(["", *prices]), chance.choice(["", "byok", *prices])
    ratings = [None, f"{price}|{cost}|gold|", f"|{cost}||a@{price};b@;a@{price}*2000000", "no rating"]
    record = {
        **event(number).to_record(),
        "event_id": f"correction-{number}",
        "kind": "CORRECTION",
        "corrects": f"event-{number:08d}",
        "input_tokens": -chance.choice([5, 50_000]),
        "output_tokens": -7,
        "calls": chance.choice([-2, 0, 1, 10**13]),
        "context_bucket": chance.choice([None, "<1k", "100k-1m", "2k-3k"]),
        "latency_ms": 5,
        "rating": chance.choice(ratings),
    }
    return wire.encode("usage_event", record)


def as_version_1(made: bytes) -> bytes:
    """The same event as an older emitter writes it."""
    oldest = versions("usage_event")[0]
    record = wire.decode(made).record
    return wire.encode_as(oldest, {name: record[name] for name in oldest.field_names})


def bounds(chance: random.Random, end: int) -> list[Bounds]:
    """Pages of many sizes, some without a record; the first records lie before all of them."""
    pages, first = [], 10
    while first < end:
        pages.append((first, first + chance.choice([0, 1, 20, 90, 200])))
        first = pages[-1][1] + 1
    return pages


def columns(records: Sequence[LogRecord]) -> Block:
    offsets = np.array([record.offset for record in records], np.int64)
    return Block([r.value for r in records], offsets, np.array([r.appended_at_ms for r in records], np.int64))


def encoded(kind: LineKind, page: Recount) -> list[bytes]:
    """The lines of a page as the meter must write them."""
    assert page.lines is not None
    place = {"partition": PARTITION, "first_offset": page.first_offset}
    return [
        wire.encode_as(kind.schema, {**place, "line": number, **kind.fields(key, line)})
        for number, (key, line) in enumerate(ordered(page.lines[kind.record]))
    ]


def made_catalog(chance: random.Random) -> Catalog:
    customers = ["c", "顧客-7", *(f"cus_{number}" for number in range(50))]
    return Catalog(plausible_catalog(chance, NOW, ("a/one", "b/two", "c/drei-ß"), ("p1", "p2"), customers))


def made_rules(chance: random.Random, pages: Sequence[Bounds], catalog: Catalog) -> dict[int, Rules]:
    """The first pages are of before rating; the catalog grows while the others are made."""
    end = catalog.rows[-1][0] + 1 if catalog.rows else 0
    offsets = sorted(chance.choice([0, end // 2, end]) for _ in pages)
    unrated = chance.choice([0, 2])
    unrouted, route = len(offsets) * 3 // 4, Route(PARTITION, 2)  # the last pages are of after misrouted events
    return {
        first: Rules(0, UNRATED_KINDS) if number < unrated else Rules(x, route=None if number < unrouted else route)
        for number, ((first, _), x) in enumerate(zip(pages, offsets, strict=True))
    }


def problems(seed: int) -> list[str]:
    """What the two recounts of one log disagree on."""
    chance = random.Random(seed)
    catalog = made_catalog(chance)
    records = log(chance, [row.row_id for _, row in catalog.rows if isinstance(row, PriceTerms)])
    pages = bounds(chance, records[-1].offset)
    rules = made_rules(chance, pages, catalog)
    unknown_then = set(chance.sample([record.offset for record in records], 20))
    slow = list(recount(records, pages, HORIZON_MS, unknown_then, catalog.charges, rules))
    keys = Keys.drawn()
    counter = ColumnarRecount(keys, HORIZON_MS, unknown_then, catalog, rules)
    fast: list[PageTotals] = []
    for block in cut([columns(records)], pages, chance.choice([50, 130, 1_000])):
        fast += counter.count(block)
    found = [] if len(slow) == len(fast) else [f"{len(slow)} pages, {len(fast)}"]
    for page, totals in zip(slow, fast, strict=False):
        if totals.exact:
            found += different(page, totals, keys)
    return found if any(totals.exact for totals in fast) else [*found, "no page was counted in columns"]


def caught(seed: int) -> bool:
    """Whether a wrong recount is told from a right one; one that ends is."""
    try:
        return bool(problems(seed))
    except (Poison, ValueError):
        return True


def different(page: Recount, totals: PageTotals, keys: Keys) -> list[str]:
    found = []
    for kind in totals.rules.kinds:
        place, values = (PARTITION, page.first_offset), encoded(kind, page)
        if not same(totals.lines[kind.record], place, side_by_side(values), keys):
            found.append(f"{page.first_offset}: lines of {kind.record}")
        if len(values) > 1 and same(totals.lines[kind.record], place, side_by_side([*values[1:], values[0]]), keys):
            found.append(f"{page.first_offset}: blind to the order of {kind.record}")
        found += [
            f"{page.first_offset} {kind.record} sum of {name}: {wanted}, {totals.lines[kind.record].sums().get(name)}"
            for name, wanted in sums((page.lines or {})[kind.record]).items()
            if totals.lines[kind.record].sums().get(name) != wanted
        ]
    page.lines = None
    for name in vars(page):
        if getattr(page, name) != getattr(totals.recount, name):
            found.append(f"{page.first_offset} {name}: {getattr(page, name)}, {getattr(totals.recount, name)}")
    return found


@pytest.mark.parametrize("seed", seeds(LOGS, LOGS_OFTEN))
def test_both_recounts_agree_on_every_page(seed: int) -> None:
    assert problems(seed) == []


def test_the_check_catches_a_recount_that_believes_damaged_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(schema: Schema, values: Sequence[bytes]) -> Walked:
        walked = walk(schema, values)
        walked.ok[:] = True
        walked.sizes("rating")[:] = NULL  # a text that is none would end the recount before it is wrong
        return walked

    monkeypatch.setattr(older, "walk", believing)
    assert any(caught(seed) for seed in range(5))


def test_the_check_catches_a_recount_that_rates_one_hour_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pieces, "of", lambda pieces, occurred_at_us, input_tokens: np.zeros_like(input_tokens))
    assert any(caught(seed) for seed in range(5))


def test_the_check_catches_a_recount_that_takes_every_customer_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pieces, "payers", lambda pieces, customers: np.zeros_like(customers))
    assert any(caught(seed) for seed in range(5))


def test_the_check_catches_a_recount_that_forgets_who_sells(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(ratings: Ratings, rating: Rating) -> list[dict[str, Any]]:
        return [{**level, "seller_id": None} for level in levels(ratings, rating)]

    levels = Ratings._levels
    monkeypatch.setattr(Ratings, "_levels", alone)
    assert any(caught(seed) for seed in range(5))


def test_the_check_catches_amounts_that_lose_their_high_limb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "limbs", lambda amounts: (amounts & LOW_MASK, np.zeros_like(amounts)))
    assert any(caught(seed) for seed in range(5))


def test_the_check_catches_a_recount_that_counts_what_is_misrouted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Strangers, "among", lambda strangers, route, hashes, offsets: np.zeros(len(hashes), bool))
    assert any(caught(seed) for seed in range(5))


def test_the_audits_murmur2_is_kafkas() -> None:
    chance = random.Random(22)
    for size in range(40):
        key = chance.randbytes(size)
        assert murmur2(key) == kafkas_murmur2(key) & 0xFFFFFFFF


def test_a_value_of_two_records_beside_an_empty_one_stays_two_bad_values() -> None:
    one, other = value(1), value(2)
    records = [LogRecord(n, NOW_MS, v) for n, v in enumerate([one + other, b"", one[:50], one[50:], value(3)])]
    slow = next(recount(records, [(0, 4)], HORIZON_MS))
    counter = ColumnarRecount(Keys.drawn(), HORIZON_MS)
    fast = next(counter.count(next(cut([columns(records)], [(0, 4)]))))
    assert fast.recount.quarantined == slow.quarantined
    assert (fast.recount.events, len(slow.quarantined)) == (1, 4)
