"""Corrections in lines: signed deltas add up, and a correction counts as the calls it says and never as one more."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from support import usage_totals
from support.events import NOW_MS, event
from tokenmeter.events import UsageEvent, accept, wire
from tokenmeter.events.contract import BILLING, MARKET, QUANTITY_FIELDS, latest, versions
from tokenmeter.events.lines import BILLING_USAGE_KEYS, MARKET_USAGE_KEYS
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import REASON, validate
from tokenmeter.flow.meter import totals
from tokenmeter.flow.rate.unrated import Unrated

OLD, NEW = versions("usage_event")[0], latest("usage_event")


def correction(number: int, **fields: Any) -> UsageEvent:
    """Takes a part of event ``number`` off."""
    one = event(number)
    signed = {name: -getattr(one, name) for name in QUANTITY_FIELDS}
    made: dict[str, Any] = {"event_id": f"correction-{number}", "kind": "CORRECTION", "corrects": one.event_id}
    return event(number, **{**signed, **made, **fields})


def mixed(seed: int) -> list[UsageEvent]:
    chance = random.Random(seed)
    events = [event(number, streamed=chance.random() < 0.5) for number in range(300)]
    for number in chance.sample(range(300), 60):
        bucket = chance.choice([None, "<1k", ">=1m"])
        events.append(correction(number, calls=chance.choice([0, 0, -1, 2]), context_bucket=bucket))
    chance.shuffle(events)
    return events


def lines(name: str, events: list[UsageEvent]) -> usage_totals.Totals:
    """What the meter makes of them, in two batches."""
    keys, grouping = {
        BILLING: (BILLING_USAGE_KEYS, totals.BILLING),
        MARKET: (MARKET_USAGE_KEYS, totals.MARKET),
    }[name]
    measures = usage_totals.MEASURES[name]
    frames = [
        decode([wire.encode("usage_event", one.to_record()) for one in part]).frame
        for part in (events[:150], events[150:])
    ]
    parts = [totals.grouped(totals.derive(Unrated().rate(frame)), grouping) for frame in frames]
    merged = totals.merge(parts, grouping)
    found = {tuple(row[key] for key in keys): {m: row[m] for m in measures} for row in merged.iter_rows(named=True)}
    return {key: line for key, line in found.items() if any(line.values())}


@pytest.mark.parametrize("topic", [BILLING, MARKET])
@pytest.mark.parametrize("seed", range(5))
def test_lines_are_signed_sums_and_count_calls(topic: str, seed: int) -> None:
    events = mixed(seed)
    assert usage_totals.different(usage_totals.expected(topic, events), lines(topic, events)) == []


def test_a_line_that_counts_corrections_as_calls_is_noticed() -> None:
    events = mixed(1)
    found = lines(BILLING, events)
    key = next(key for key, line in found.items())
    found[key] = {**found[key], "events": found[key]["events"] + 1}
    assert len(usage_totals.different(usage_totals.expected(BILLING, events), found)) == 1


@pytest.mark.parametrize(
    "fields", [{"calls": 1}, {"calls": -1}, {"context_bucket": "<1k"}], ids=["calls", "negative calls", "bucket"]
)
def test_only_a_correction_carries_calls_or_a_bucket(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="correction"):
        event(1, **fields)
    assert correction(1, **fields).kind == "CORRECTION"


def test_a_bucket_nobody_knows_and_calls_beyond_the_bound_are_refused_alike_in_columns_and_alone() -> None:
    records = [
        event(0).to_record(),
        {**event(1).to_record(), "calls": 1},
        {**correction(2).to_record(), "context_bucket": "huge"},
        {**correction(3).to_record(), "calls": accept.QUANTITY_MAX + 1},
        correction(4, calls=-1, context_bucket=">=1m").to_record(),
    ]
    wanted = [accept.reason_against(record, NOW_MS * 1000) for record in records]
    assert wanted == [None, "correction", "correction", "too_large", None]
    frame = decode([wire.encode("usage_event", record) for record in records]).frame
    usable, refused = validate(frame, np.full(frame.height, NOW_MS))
    assert {**dict.fromkeys(usable[INDEX]), **dict(refused.select(INDEX, REASON).iter_rows())} == dict(
        enumerate(wanted)
    )


def test_producers_of_two_versions_may_interleave() -> None:
    records = [event(number).to_record() for number in range(400)]
    old = [{name: record[name] for name in OLD.field_names} for record in records]
    values = [wire.encode_as(OLD, old[n]) if n % 3 else wire.encode_as(NEW, records[n]) for n in range(400)]
    values[100], values[200] = b"not avro", values[200][:-3]
    decoded = decode(values)
    whole = decode([wire.encode_as(NEW, record) for record in records]).frame
    assert decoded.frame.equals(whole.filter(~pl.col(INDEX).is_in([100, 200])))
    assert [(bad.index, bad.reason) for bad in decoded.rejected] == [(100, "magic"), (200, "truncated")]


def test_an_old_event_is_the_same_to_dedup_in_both_versions() -> None:
    record = event(7).to_record()
    old = wire.encode_as(OLD, {name: record[name] for name in OLD.field_names})
    assert wire.decode(old).record == wire.decode(wire.encode("usage_event", record)).record
