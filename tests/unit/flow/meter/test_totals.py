"""A page's totals, however its batches were cut."""

from __future__ import annotations

import polars as pl
import pytest

from support.events import value
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.meter import totals
from tokenmeter.flow.meter.lines import lines
from tokenmeter.flow.rate.rated import CHARGE_PICO
from tokenmeter.flow.rate.unrated import Unrated


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
