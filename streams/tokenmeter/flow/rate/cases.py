"""What a price depends on beside the account: numbers for the distinct cases, and what a plan's step pays in each."""

from __future__ import annotations

import polars as pl

from tokenmeter.events.catalog import Plan, PriceTerms
from tokenmeter.events.catalog_row import COST_BOOK, LIST_BOOK
from tokenmeter.events.rating import BYOK_COST
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.int_table import Ints
from tokenmeter.flow.rate.interning import NONE, Interner
from tokenmeter.flow.rate.levels import Paid, byok_fee, of_row, paid_by
from tokenmeter.flow.rate.lookup import Lookup
from tokenmeter.flow.rate.matching import Call
from tokenmeter.flow.rate.segments import Moment, Segments

MEMO_MAX = 500_000
"""Results remembered of each kind; all are forgotten when there are more, and found again when they are asked for."""
_CASE: dict[str, pl.DataType] = {
    "model": pl.String(),
    "provider": pl.String(),
    "variant": pl.String(),
    "service_tier": pl.String(),
    "segment": pl.Int64(),
}


class Steps:
    """Plans of a chain as linked lists: a step is an account's plan and the step above it. For one thread at a time."""

    def __init__(self) -> None:
        self._plans: dict[str | None, Plan | None] = {None: None}
        self._steps: Interner[tuple[str | None, int]] = Interner()

    def number(self, plan: Plan | None, above: int) -> int:
        """The step of a plan below another step, or below NONE."""
        row_id = None if plan is None else plan.row_id
        self._plans[row_id] = plan
        return self._steps.number((row_id, above))

    def step(self, number: int) -> tuple[Plan | None, int]:
        """The plan, and the step above."""
        row_id, above = self._steps.values[number]
        return self._plans[row_id], above


class Cases:
    """The distinct cases of a book's prices. Results are for one thread at a time."""

    def __init__(self, book: Book, steps: Steps) -> None:
        self._book = book
        self._steps = steps
        self._segments = Segments(book)
        self._calls: list[tuple[Call, Moment]] = []
        self.lookup = Lookup(_CASE, self._resolve)
        self._offers: dict[tuple[int, str], Paid | None] = {}
        self._paid: dict[tuple[int, int], Paid | None] = {}
        self._rows: dict[str, Paid] = {}

    def keys(self, events: pl.DataFrame, at_us: Ints, low_us: int, high_us: int) -> pl.DataFrame:
        """What to look up for each event."""
        segments = self._segments.numbers(at_us, low_us, high_us, events["input_tokens"].abs().to_numpy())
        column = pl.lit(segments, pl.Int64) if isinstance(segments, int) else pl.Series(segments, dtype=pl.Int64)
        return events.select_seq("model", "provider", "variant", "service_tier", segment=column)

    def _resolve(self, unseen: pl.DataFrame) -> range:
        first = len(self._calls)
        for model, provider, variant, tier, segment in unseen.iter_rows():
            moment = self._segments.moment(segment)
            self._calls.append((Call("", model, provider, variant, tier, moment.input_tokens), moment))
        return range(first, len(self._calls))

    def cost_id(self, case: int, byok: bool) -> str | None:
        """The id of what a case costs."""
        cost = None if byok else self._offer(case, COST_BOOK)
        return BYOK_COST if byok else None if cost is None else cost.price_id

    def price_id(self, step: int, case: int, byok: bool) -> str | None:
        """The id of what the account of a step is charged in a case."""
        plan = self._steps.step(step)[0]
        paid = byok_fee(plan, self._offer(case, LIST_BOOK)) if byok else self._paid_by(step, case)
        return None if paid is None else paid.price_id

    def _paid_by(self, step: int, case: int) -> Paid | None:
        if (step, case) not in self._paid:
            if len(self._paid) >= MEMO_MAX:
                self._paid.clear()
            plan, above = self._steps.step(step)
            from_above = None if above == NONE else self._paid_by(above, case)
            paid = paid_by(plan, from_above, above == NONE, lambda book: self._offer(case, book))
            self._paid[step, case] = paid
        return self._paid[step, case]

    def _offer(self, case: int, book: str) -> Paid | None:
        if (case, book) not in self._offers:
            if len(self._offers) >= MEMO_MAX:
                self._offers.clear()
            call, moment = self._calls[case]
            row = self._book.best_at(book, call, moment.at_us, moment.minute)
            self._offers[case, book] = None if row is None else self._of_row(row)
        return self._offers[case, book]

    def _of_row(self, row: PriceTerms) -> Paid:
        if row.row_id not in self._rows:
            self._rows[row.row_id] = of_row(row)
        return self._rows[row.row_id]
