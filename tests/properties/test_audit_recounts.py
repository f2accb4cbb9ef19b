"""The audit's columnar recount says what its record-by-record reference says, on batches full of damage and repeats.

The control believes every value that the walk got through, and must be caught by the same check.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from properties.test_fuzzed_batches import damaged
from support.events import NOW_MS, event, value
from tokenmeter.events import wire
from tokenmeter.events.contract import Schema, versions
from tokenmeter.stack.audit import versions as older
from tokenmeter.stack.audit.blocks import Block, Bounds, cut
from tokenmeter.stack.audit.columnar import ColumnarRecount, PageTotals
from tokenmeter.stack.audit.facts import Keys
from tokenmeter.stack.audit.lines import same
from tokenmeter.stack.audit.recount import BILLING_LINES, MARKET_LINES, LineKind, Recount, ordered
from tokenmeter.stack.audit.reference import LogRecord, recount
from tokenmeter.stack.audit.walk import NULL, Walked, walk

LOGS = 40
RECORDS = 600
HORIZON_MS = 2_000
PARTITION = 3


def log(chance: random.Random) -> list[LogRecord]:
    """Fresh events, repeats, conflicts and every kind of damage, with gaps in the offsets."""
    offset, at_ms, records = 5, NOW_MS, []
    for number in range(RECORDS):
        offset += chance.choice([1, 1, 1, 2])
        at_ms += chance.choice([0, 0, 0, 50, 200])
        draw, repeated = chance.random(), chance.randrange(60)
        if draw < 0.6:
            made: bytes | None = value(repeated)
        elif draw < 0.8:
            made = value(repeated, output_tokens=5_000 + chance.randrange(3), reasoning_tokens=0)
        elif draw < 0.9:
            made = value(1_000 + number, customer_id=chance.choice(["顧客-7", "c", "cus_1"]))
        else:
            made = correction(chance, number)
        assert made is not None
        if chance.random() < 0.1:
            made = as_version_1(made)
        if chance.random() < 0.1:
            made = damaged(chance, made)
        records.append(LogRecord(offset, at_ms, made if chance.random() > 0.01 else None))
    return records


def correction(chance: random.Random, number: int) -> bytes:
    """Signed deltas for some calls, with a context bucket or, now and then, one that there is not."""
    record = {
        **event(number).to_record(),
        "event_id": f"correction-{number}",
        "kind": "CORRECTION",
        "corrects": f"event-{number:08d}",
        "input_tokens": -chance.choice([5, 50_000]),
        "output_tokens": -7,
        "calls": chance.choice([-2, 0, 1, 10**13]),
        "context_bucket": chance.choice([None, "<1k", "100k-1m", "2k-3k"]),
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
    lines = page.billing if kind is BILLING_LINES else page.market
    place = {"partition": PARTITION, "first_offset": page.first_offset}
    return [
        wire.encode(kind.record, {**place, "line": number, **dict(zip(kind.keys, key, strict=True)), **counts})
        for number, (key, counts) in enumerate(ordered(lines or {}))
    ]


def problems(seed: int) -> list[str]:
    """What the two recounts of one log disagree on."""
    chance = random.Random(seed)
    records = log(chance)
    pages = bounds(chance, records[-1].offset)
    unknown_then = set(chance.sample([record.offset for record in records], 20))
    slow = list(recount(records, pages, HORIZON_MS, unknown_then))
    keys = Keys.drawn()
    counter = ColumnarRecount(keys, HORIZON_MS, unknown_then)
    fast: list[PageTotals] = []
    for block in cut([columns(records)], pages, chance.choice([50, 130, 1_000])):
        fast += counter.count(block)
    found = [] if len(slow) == len(fast) else [f"{len(slow)} pages, {len(fast)}"]
    for page, totals in zip(slow, fast, strict=False):
        for kind in (BILLING_LINES, MARKET_LINES):
            place = (PARTITION, page.first_offset)
            lines = encoded(kind, page)
            if not same(kind, totals.lines[kind], place, lines, keys):
                found.append(f"{page.first_offset}: lines of {kind.record}")
            if len(lines) > 1 and same(kind, totals.lines[kind], place, [*lines[1:], lines[0]], keys):
                found.append(f"{page.first_offset}: blind to the order of {kind.record}")
        page.billing = page.market = None
        for name in vars(page):
            if getattr(page, name) != getattr(totals.recount, name):
                found.append(f"{page.first_offset} {name}: {getattr(page, name)}, {getattr(totals.recount, name)}")
    return found


@pytest.mark.parametrize("seed", range(LOGS))
def test_both_recounts_agree_on_every_page(seed: int) -> None:
    assert problems(seed) == []


def test_the_check_catches_a_recount_that_believes_damaged_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(schema: Schema, values: Sequence[bytes]) -> Walked:
        walked = walk(schema, values)
        walked.ok[:] = True
        walked.sizes("rating")[:] = NULL  # a text that is none would end the recount before it is wrong
        return walked

    monkeypatch.setattr(older, "walk", believing)
    assert any(problems(seed) for seed in range(5))


def test_a_value_of_two_records_beside_an_empty_one_stays_two_bad_values() -> None:
    one, other = value(1), value(2)
    records = [LogRecord(n, NOW_MS, v) for n, v in enumerate([one + other, b"", one[:50], one[50:], value(3)])]
    slow = next(recount(records, [(0, 4)], HORIZON_MS))
    counter = ColumnarRecount(Keys.drawn(), HORIZON_MS)
    fast = next(counter.count(next(cut([columns(records)], [(0, 4)]))))
    assert fast.recount.quarantined == slow.quarantined
    assert (fast.recount.events, len(slow.quarantined)) == (1, 4)
