"""The pure core of the meter: decode, validate, dedup, totals and the columnar encoder against slow, obvious twins."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from support.events import NOW, NOW_MS, event, value
from tokenmeter.events import accept, wire
from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.rating import amount
from tokenmeter.flow.columns import columnar_avro
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import REASON, validate
from tokenmeter.flow.faust.watchdog import Watchdog
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.dedup import CONFLICT, DUPLICATE, FRESH, DedupKeys, Horizon
from tokenmeter.flow.meter.lines import lines
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import CLOSE_SHARE_MAX, Admission, OpenPage, PageBounds, PageLimits, admit
from tokenmeter.flow.rate.rated import CHARGE_PICO
from tokenmeter.flow.rate.unrated import Unrated
from tokenmeter.kafka.batch import RecordBatch, Run

HORIZON_MS = 1_000


def test_judging_columns_gives_the_reason_judging_one_event_gives() -> None:
    chance = random.Random(3)
    records = []
    for number in range(300):
        record = event(number).to_record()
        name = chance.choice([*QUANTITY_FIELDS, *accept.INT_FIELDS, "occurred_at", "kind", "customer_id", "none"])
        if name in QUANTITY_FIELDS:
            record[name] = chance.choice([-1, 0, 10**6, 10**13])
        elif name == "occurred_at":
            record[name] = NOW + timedelta(days=chance.choice([-36, -34, 0, 1]))
        elif name == "kind":
            record[name] = "CORRECTION"
        elif name == "customer_id":
            record[name] = chance.choice(["", "x" * 300])
        records.append(record)
    frame = decode([wire.encode("usage_event", record) for record in records]).frame
    usable, refused = validate(frame, np.full(frame.height, NOW_MS))
    found = {**dict.fromkeys(usable[INDEX]), **dict(refused.select(INDEX, REASON).iter_rows())}
    wanted = {i: accept.reason_against(record, NOW_MS * 1000) for i, record in enumerate(records)}
    assert found == wanted
    assert len(set(wanted.values())) > 5


def slow_marks(rows: list[tuple[int, int, int]]) -> list[int]:
    """Dedup as one would explain it: the most recent event of an identity, if it is within the horizon."""
    newest: dict[int, tuple[int, int]] = {}
    answers = []
    for identity, payload, at in rows:
        before = newest.get(identity)
        if before is None or at - before[1] > HORIZON_MS:
            answers.append(FRESH)
        else:
            answers.append(DUPLICATE if before[0] == payload else CONFLICT)
        newest[identity] = (payload, at)
    return answers


def as_keys(rows: list[tuple[int, int, int]]) -> DedupKeys:
    identity, payload, at = (np.array(column) for column in zip(*rows, strict=True))
    # Identities share their high halves in fours, so that the walk over equal ones is used.
    return DedupKeys((identity // 4).astype(np.uint64), identity.astype(np.uint64), payload.astype(np.uint64), at)


@pytest.mark.parametrize("seed", range(30))
def test_dedup_is_exact_however_the_log_is_cut_and_wherever_it_is_rebuilt(seed: int) -> None:
    chance = random.Random(seed)
    at, rows = 0, []
    for _ in range(2_000):
        at += chance.randrange(4)
        rows.append((chance.randrange(400), chance.randrange(2), at))
    wanted = slow_marks(rows)
    assert len(set(wanted)) == 3
    horizon, begin, found = Horizon(HORIZON_MS), 0, []
    while begin < len(rows):
        end = begin + chance.randrange(1, 200)
        if chance.random() < 0.2:  # the worker died: its horizon is rebuilt from the log
            horizon = Horizon(HORIZON_MS)
            last = rows[begin - 1][2] if begin else 0
            window = [row for row in rows[:begin] if last - row[2] <= HORIZON_MS]
            if window:
                horizon.admit(as_keys(window))
        found += horizon.admit(as_keys(rows[begin:end])).tolist()
        begin = end
    assert found == wanted


def test_the_columnar_encoder_writes_what_the_record_encoder_writes() -> None:
    frame = decode([value(number) for number in range(500)]).frame
    events = totals.derive(Unrated().rate(frame))
    chance = random.Random(8)
    made = lines([totals.grouped(events, totals.BILLING)], [], Unrated()).billing.with_columns(
        pl.lit(3).alias("partition"), pl.lit(2**40).alias("first_offset")
    )
    amounts = [chance.choice([None, 0, -1, 127, -128, -129, 10**30, -(2**63)]) for _ in range(made.height)]
    made = made.with_columns(
        pl.Series("charge", amounts, dtype=pl.Int128), provisional=pl.Series(amounts, dtype=pl.Int128).is_null()
    )
    encoded = columnar_avro.encode("billing_line", made)
    fields = latest("billing_line").field_names
    rows = [{name: row.get(name) for name in fields} for row in made.iter_rows(named=True)]
    for row in rows:
        for name in ("charge", "reported_cost"):
            row[name] = None if row[name] is None else amount(row[name])
        row["tokens_squared"] = Decimal(row["tokens_squared"])
    assert encoded == [wire.encode("billing_line", row) for row in rows]
    assert sum(wire.decode(v).record["input_tokens"] for v in encoded) == sum(event(n).input_tokens for n in range(500))


def test_a_page_of_nothing_but_repeats_has_no_lines() -> None:
    made, place = lines([], [], Unrated()), {"partition": pl.lit(3), "first_offset": pl.lit(0)}
    assert columnar_avro.encode("billing_line", made.billing.with_columns(**place)) == []
    assert columnar_avro.encode("market_line", made.market.with_columns(**place)) == []
    assert columnar_avro.encode("resale_line", made.resale.with_columns(**place)) == []


def rated(events: pl.DataFrame) -> pl.DataFrame:
    """Each with a charge that is larger than 64 bits hold, every fifth without."""
    number = pl.int_range(pl.len())
    charge = pl.when(number % 5 > 0).then(number.cast(pl.Int128) * 10**20)
    return Unrated().rate(events).with_columns(charge.alias(CHARGE_PICO))


def market(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return lines([], parts, Unrated()).market


def test_totals_do_not_depend_on_how_a_page_was_cut() -> None:
    frame = totals.derive(rated(decode([value(number) for number in range(400)]).frame))
    whole = market([totals.grouped(frame, totals.MARKET)])
    parts = [totals.grouped(frame[begin : begin + 70], totals.MARKET) for begin in range(0, 400, 70)]
    assert whole.equals(market(parts))


def test_folding_a_page_of_many_batches_keeps_its_sums_and_a_bounded_number_of_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(totals, "PART_ROWS_MAX", 100)
    frame = totals.derive(rated(decode([value(number) for number in range(400)]).frame))
    whole = market([totals.grouped(frame, totals.MARKET)])
    parts: list[pl.DataFrame] = []
    held = []
    for begin in range(400):
        part = totals.grouped(frame[begin : begin + 1], totals.MARKET)
        totals.fold(parts, part, totals.MARKET)
        held.append(sum(part.height for part in parts))
    assert whole.equals(market(parts))
    assert max(held) <= 2 * max(100, whole.height) + 1


@pytest.mark.parametrize(
    ("batch", "answer"),
    [((0, 10), Admission.SKIP), ((5, 11), Admission.TRIM), ((10, 20), Admission.TAKE), ((11, 20), Admission.GAP)],
)
def test_only_the_next_contiguous_offset_is_admitted(batch: tuple[int, int], answer: Admission) -> None:
    assert admit(10, *batch) is answer


def test_trimming_a_batch_keeps_offsets_and_values_together() -> None:
    batch = RecordBatch("t", 0, 5, 15, [b"5", b"6", b"9", b"10"], [Run(5, 2, 1), Run(9, 2, 2)], 4)
    rest = batch.from_offset(6)
    assert (rest.values, rest.offsets().tolist()) == ([b"6", b"9", b"10"], [6, 9, 10])
    assert rest.appended_at_ms().tolist() == [1, 2, 2]


def test_a_page_closes_by_age_size_or_demand() -> None:
    limits = PageLimits(seconds=5, events=10, bytes=100, demand_interval_s=0.2)
    assert not OpenPage(0, events=9, bytes=99).is_due(4.9, 0, 0, limits)
    assert OpenPage(0).is_due(5, 0, 0, limits)
    assert OpenPage(0, events=10).is_due(0, 0, 0, limits)
    assert OpenPage(0, bytes=100).is_due(0, 0, 0, limits)
    assert OpenPage(0, demanded=True).is_due(1, 0.5, 0, limits)
    assert not OpenPage(0, demanded=True).is_due(0.6, 0.5, 0, limits)


def test_a_page_closes_young_when_its_partition_is_nearly_caught_up() -> None:
    limits = PageLimits(seconds=5, min_seconds=0.2, behind_max=100)
    assert OpenPage(0).is_due(0.2, 0, 100, limits)
    assert not OpenPage(0).is_due(0.19, 0, 0, limits)
    assert not OpenPage(0).is_due(4.9, 0, 101, limits)
    assert OpenPage(0).is_due(5, 0, 101, limits)
    assert OpenPage(0, events=101).is_due(0.2, 0, 101, limits), "as large as the backlog"
    close_s = 1.0 * CLOSE_SHARE_MAX
    assert not OpenPage(0).is_due(0.9, 0, 0, limits, close_cpu_seconds=close_s), "closing would take too much of a CPU"
    assert OpenPage(0).is_due(1.01, 0, 0, limits, close_cpu_seconds=close_s)
    assert OpenPage(0).is_due(1, 0, 0, PageLimits(seconds=1, min_seconds=3))


def test_the_fence_comes_before_the_position_and_the_commit_last() -> None:
    order = []
    owning = steps.own()
    effect: steps.Effect = next(owning)
    try:
        while True:
            order.append(type(effect).__name__)
            effect = owning.send(steps.Position(7, 2))
    except StopIteration as stop:
        assert stop.value == steps.Position(7, 2)
    assert order == ["Fence", "ReadPosition", "Restore"]
    committing = steps.commit(PageBounds("t", 0, 0, 5))
    order = [type(next(committing)).__name__]
    order += [type(committing.send([])).__name__ for _ in range(5)]
    assert order == ["Close", "Begin", "Produce", "SendOffsets", "Commit", "Committed"]


def test_the_watchdog_counts_only_time_with_work_and_without_progress() -> None:
    dog = Watchdog(10)
    assert dog.observe("p", 0, 0, 100) == 0
    assert dog.observe("p", 5, 0, 100) == 0
    assert dog.observe("p", 5, 0, 108) == 8
    assert dog.observe("p", 5, 105, 108) == 3
    assert dog.observe("p", 0, 105, 120) == 0
