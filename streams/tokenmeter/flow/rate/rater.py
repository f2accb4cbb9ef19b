"""Rates batches of events by a book: finds each distinct combination once, then multiplies in columns.

A customer's *path* is its plan, the accounts above it and theirs. A *case* is what else a price depends on: model,
provider, variant, tier and the segment of time and size. A path and a case make a rating, so 20 000 customers of 300
models are looked up as 20 300 strings, and as pairs of numbers only where they met.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import RLock

import polars as pl

from tokenmeter.events.catalog import COST_BOOK, CatalogRow, Plan, PriceTerms
from tokenmeter.events.lines import ERROR_STATUS_MIN
from tokenmeter.events.rating import BYOK_COST, rating_of
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.charging import used
from tokenmeter.flow.rate.interning import NUMBER, Interner, Lookup
from tokenmeter.flow.rate.levels import charged, paid_by
from tokenmeter.flow.rate.matching import Call
from tokenmeter.flow.rate.rated import CHARGE_PICO, COST_PICO, RATING
from tokenmeter.flow.rate.ratings import Ratings
from tokenmeter.flow.rate.resale import resale
from tokenmeter.flow.rate.segments import Cuts, Moment, Segments
from tokenmeter.flow.rate.timeline import Ints

KNOWN_MAX = 1_000_000
"""A rater that knows more cases, ratings or texts of corrections is replaced by a new one before the next page: numbers
last as long as their rater, so nothing is forgotten singly."""
_FAILED = (pl.col("status") >= ERROR_STATUS_MIN) | pl.col("error_class").is_not_null()
_REQUESTS = pl.when(pl.col("corrects").is_null()).then(1).otherwise(pl.col("calls")) * (~_FAILED).cast(pl.Int64)
_CASE: dict[str, pl.DataType] = {
    "model": pl.String(),
    "provider": pl.String(),
    "variant": pl.String(),
    "service_tier": pl.String(),
    "segment": pl.Int64(),
}
_CASES_MAX = 2**31


class BookRater:
    """See ``tokenmeter.flow.rate.rated.Rater``. Threads may share one."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._lock = RLock()
        self._segments = Segments(book)
        self._terms_times = Cuts(book.accounts.times_us() | book.plans.times_us(), -(2**62))
        self._plans: dict[str | None, Plan | None] = {None: None}
        self._ladders: Interner[tuple[str | None, ...]] = Interner()
        self._paths: Interner[tuple[int, int]] = Interner()
        self._calls: list[tuple[Call, Moment]] = []
        self._best: dict[tuple[int, str], PriceTerms | None] = {}
        self._prices: dict[tuple[int, int, int], int] = {}
        self._ratings = Ratings(book)
        accounts = pl.Series("customer_id", list(book.accounts.keys()), pl.String)
        self._accounts = accounts.to_frame().with_row_index(NUMBER, offset=1).cast({NUMBER: pl.Int64})
        self._account_ids = ["", *accounts]
        self._path_of = Lookup({"path_key": pl.Int64()}, self._resolve_paths)
        self._case_of = Lookup(_CASE, self._resolve_cases)
        self._rating_of = Lookup({"rating_key": pl.Int64()}, self._resolve_ratings)
        self._carried = Lookup({"rating": pl.String()}, self._resolve_carried)

    @property
    def catalog_offset(self) -> int:
        """See Rater."""
        return self.book.catalog_offset

    @property
    def is_full(self) -> bool:
        """Whether one of its memories holds more than KNOWN_MAX."""
        return max(len(self._ratings), len(self._case_of), len(self._carried), len(self._path_of)) > KNOWN_MAX

    def rate(self, events: pl.DataFrame) -> pl.DataFrame:
        """See Rater."""
        numbers = self._numbers(events)
        ratings, index = self._ratings, numbers.to_numpy()
        calls = used(events, _REQUESTS)
        return events.with_columns(
            numbers.alias(RATING),
            ratings.units.charge(calls, ratings.column("price_line", index)).alias(CHARGE_PICO),
            ratings.units.charge(calls, ratings.column("cost_line", index)).alias(COST_PICO),
            ratings.currencies("currency", index),
            ratings.currencies("cost_currency", index),
        )

    def terms(self, numbers: Sequence[int]) -> pl.DataFrame:
        """See Rater."""
        with self._lock:
            return self._ratings.terms(numbers)

    def resale(self, billing: pl.DataFrame) -> pl.DataFrame:
        """See Rater."""
        with self._lock:
            return resale(billing, self._ratings)

    def _numbers(self, events: pl.DataFrame) -> pl.Series:
        """The number of each event's rating."""
        if not events.height:
            return pl.Series(NUMBER, [], pl.Int32)
        at_us = events["occurred_at"].dt.epoch("us").to_numpy()
        low_us, high_us = int(at_us.min()), int(at_us.max())
        accounts = events.select("customer_id").join(
            self._accounts, on="customer_id", how="left", maintain_order="left"
        )[NUMBER]
        pieces = len(self._terms_times)
        times = _column(self._terms_times.pieces(at_us, low_us, high_us))
        path_keys = accounts.to_frame("path_key").select(pl.col("path_key").fill_null(0) * pieces + times)
        paths = self._found(self._path_of, path_keys)
        segments = self._segments.numbers(at_us, low_us, high_us, events["input_tokens"].abs().to_numpy())
        cases = self._found(
            self._case_of,
            events.select("model", "provider", "variant", "service_tier", _column(segments).alias("segment")),
        )
        rating_key = (paths.cast(pl.Int64) * _CASES_MAX + cases.cast(pl.Int64)) * 2 + events["byok"].cast(pl.Int64)
        numbers = self._found(self._rating_of, rating_key.to_frame("rating_key"))
        if events["rating"].null_count() == events.height:
            return numbers
        carried = self._found(self._carried, events.select("rating"))
        return pl.select(pl.when(events["rating"].is_null()).then(numbers).otherwise(carried)).to_series()

    def _found(self, lookup: Lookup, keys: pl.DataFrame) -> pl.Series:
        found = lookup.find(keys)
        if found.null_count():
            with self._lock:
                lookup.learn(keys)
                self._ratings.publish()
            found = lookup.find(keys)
        return found

    def _resolve_paths(self, unseen: pl.DataFrame) -> list[int]:
        found = []
        for key in unseen["path_key"]:
            account, piece = divmod(key, len(self._terms_times))
            at_us = self._terms_times.start(piece)
            chain = self.book.chain_at(self._account_ids[account], at_us)
            plan_ids = [self.book.plan_id_at(one, at_us) for one in chain]
            plans = [self.book.plan_at(plan_id, at_us) for plan_id in plan_ids]
            rows = tuple(None if plan is None else plan.row_id for plan in plans)
            self._plans.update(zip(rows, plans, strict=True))
            who = self._ratings.whos.number((plan_ids[0], chain[1:]))
            found.append(self._paths.number((who, self._ladders.number(rows))))
        return found

    def _resolve_cases(self, unseen: pl.DataFrame) -> list[int]:
        first = len(self._calls)
        for model, provider, variant, tier, segment in unseen.iter_rows():
            moment = self._segments.moment(segment)
            self._calls.append((Call("", model, provider, variant, tier, moment.input_tokens), moment))
        return list(range(first, len(self._calls)))

    def _resolve_ratings(self, unseen: pl.DataFrame) -> list[int]:
        found = []
        for key in unseen["rating_key"]:
            rest, byok = divmod(key, 2)
            path, case = divmod(rest, _CASES_MAX)
            who, ladder = self._paths.values[path]
            found.append(self._ratings.number(who, self._prices_of(ladder, case, byok)))
        return found

    def _prices_of(self, ladder: int, case: int, byok: int) -> int:
        """The number of what a ladder of plans pays in a case."""
        number = self._prices.get((ladder, case, byok))
        if number is None:
            plans = [self._plans[row_id] for row_id in self._ladders.values[ladder]]
            pays = paid_by(plans, lambda book: self._best_of(case, book), self.book.is_payable)
            paid = zip(plans, pays, strict=True)
            ids = [charged(plan, price, bool(byok), self.book.is_payable) for plan, price in paid]
            cost = self._best_of(case, COST_BOOK)
            cost_id = BYOK_COST if byok else None if cost is None else cost.row_id
            number = self._prices[ladder, case, byok] = self._ratings.prices.number((ids[0], cost_id, tuple(ids[1:])))
        return number

    def _best_of(self, case: int, book: str) -> PriceTerms | None:
        if (case, book) not in self._best:
            call, moment = self._calls[case]
            self._best[case, book] = self.book.best_at(book, call, moment.at_us, moment.minute)
        return self._best[case, book]

    def _resolve_carried(self, unseen: pl.DataFrame) -> list[int]:
        empty = self._ratings.whos.number((None, ())), self._ratings.prices.number((None, None, ()))
        return [
            self._ratings.number(*empty) if text is None else self._ratings.carried(rating_of(text))
            for text in unseen["rating"]
        ]


def follow(rater: BookRater, rows: Iterable[tuple[int, CatalogRow]], catalog_offset: int) -> BookRater:
    """A rater for the catalog with further rows, up to an offset."""
    return BookRater(rater.book.extended(rows, catalog_offset))


def _column(pieces: Ints | int) -> pl.Expr:
    return pl.lit(pieces, pl.Int64) if isinstance(pieces, int) else pl.lit(pl.Series(pieces, dtype=pl.Int64))
