"""Old and new writers in one batch: every value is read exactly, in blocks, and equal calls read equal.

The control reads every value as the newest version, and must be caught.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from support.events import NOW_MS, event
from support.next_version import ADDED, NEXT, NEXT_ID, OLD, next_record, next_value, old_value, rehearse
from tokenmeter.audit.reference import LogRecord, recount
from tokenmeter.events import UsageEvent, wire
from tokenmeter.events.contract import by_id, versions
from tokenmeter.flow.columns.decode import INDEX, SINGLE_VALUES_MAX, decode
from tokenmeter.flow.meter.dedup import CONFLICT, DUPLICATE, FRESH, Horizon, dedup_keys

SIZE = 2_000


@pytest.fixture
def upgraded() -> Iterator[None]:
    with rehearse():
        yield


def mixed(chance: random.Random, size: int) -> list[bytes]:
    """One value per event, of any version at random."""
    return [chance.choice((oldest_value, old_value, next_value))(number) for number in range(size)]


def oldest_value(number: int) -> bytes:
    """As the first writers sent it, who knew fewer fields."""
    oldest = versions("usage_event")[0]
    record = event(number).to_record()
    return wire.encode_as(oldest, {name: record[name] for name in oldest.field_names})


def one_by_one(values: list[bytes], read: Callable[[bytes], dict[str, Any]]) -> pl.DataFrame:
    """The values as the slow reader has them, in the decoder's types."""
    return pl.DataFrame([read(value) for value in values], schema=decode(values).frame.drop(INDEX).schema)


def calls(function: Any, work: Callable[[], Any]) -> int:
    """How often ``work`` calls ``function``."""
    seen = 0

    def count(frame: Any, kind: str, _: Any) -> None:
        nonlocal seen
        seen += kind == "call" and frame.f_code is function.__code__

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen


@pytest.mark.parametrize("size", [1, SINGLE_VALUES_MAX, 2 * SINGLE_VALUES_MAX, SIZE])
def test_a_mixed_batch_is_read_exactly_and_in_order(upgraded: None, size: int) -> None:
    for seed in range(5):
        values = mixed(random.Random(seed), size)
        decoded = decode(values)
        assert decoded.rejected == []
        assert decoded.frame[INDEX].to_list() == list(range(size))
        assert decoded.frame.drop(INDEX).equals(one_by_one(values, lambda value: wire.decode(value).record))


def test_an_old_value_means_the_defaults_and_a_new_one_what_it_says(upgraded: None) -> None:
    rows = decode([old_value(1), next_value(2)]).frame.select(*ADDED).rows(named=True)
    new = next_record(2)
    assert rows == [ADDED, {name: new[name] for name in ADDED}]


def test_the_same_check_finds_a_reader_that_takes_every_value_for_the_newest(upgraded: None) -> None:
    values = mixed(random.Random(1), SIZE)

    def blind(value: bytes) -> dict[str, Any]:
        try:
            return wire.decode(wire.prefix(NEXT) + value[wire.PREFIX_BYTES :]).record
        except wire.Poison:
            return next_record(0)

    assert not decode(values).frame.drop(INDEX).equals(one_by_one(values, blind))


def test_alternating_writers_do_not_fall_back_to_one_by_one(upgraded: None) -> None:
    values = [old_value(number) if number % 2 else next_value(number) for number in range(SIZE)]
    assert calls(wire.decode, lambda: decode(values)) == 0


def test_damage_in_a_mixed_batch_is_rejected_alone_in_its_place(upgraded: None) -> None:
    chance = random.Random(3)
    clean = mixed(chance, SIZE)
    expected = decode(clean).frame
    damaged: list[bytes | None] = [*clean]
    bad = {5: None, 17: b"", 40: clean[40][:30], 41: b"\x00\x00\x00\x00\x63" + clean[41][5:], 1_999: clean[9] + b"\x00"}
    for place, value in bad.items():
        damaged[place] = value
    decoded = decode(damaged)
    assert [one.index for one in decoded.rejected] == sorted(bad)
    assert [one.reason for one in decoded.rejected] == ["empty", "truncated", "truncated", "schema", "avro"]
    assert decoded.frame.equals(expected.filter(~pl.col(INDEX).is_in(list(bad))))
    assert calls(wire.decode, lambda: decode(damaged)) < 8 * SINGLE_VALUES_MAX


def test_a_retry_by_an_upgraded_writer_is_the_same_call(upgraded: None) -> None:
    retried, changed = next_value(1, **ADDED), next_value(2)
    for first, second in ((old_value(1), retried), (retried, old_value(1))):
        frame = decode([first, second]).frame
        assert Horizon().admit(dedup_keys(frame, np.full(2, NOW_MS))).tolist() == [FRESH, DUPLICATE]
        assert counted([first, second]) == (1, 1, [])
    frame = decode([old_value(2), changed]).frame
    assert Horizon().admit(dedup_keys(frame, np.full(2, NOW_MS))).tolist() == [FRESH, CONFLICT]
    assert counted([old_value(2), changed]) == (1, 0, [(1, "conflict")])


def counted(values: list[bytes]) -> tuple[int, int, list[tuple[int, str]]]:
    """(events, duplicates, quarantined) by the audit's own recount."""
    log = [LogRecord(offset, NOW_MS, value) for offset, value in enumerate(values)]
    page = next(recount(log, [(0, len(values) - 1)], 60_000))
    return page.events, page.duplicates, page.quarantined


def test_a_reader_before_the_upgrade_rejects_new_values_and_keeps_old_ones() -> None:
    decoded = decode([old_value(number) if number % 2 else next_value(number) for number in range(SIZE)])
    assert decoded.frame[INDEX].to_list() == list(range(1, SIZE, 2))
    assert {one.reason for one in decoded.rejected} == {"schema"}


def test_a_rehearsed_version_is_known_in_its_block_alone() -> None:
    with rehearse():
        assert by_id(NEXT_ID) == NEXT
        assert versions("usage_event")[-2:] == (OLD, NEXT)
        assert UsageEvent.model_fields.keys() < set(NEXT.field_names)
    assert by_id(NEXT_ID) is None
    assert versions("usage_event")[-1] == OLD
