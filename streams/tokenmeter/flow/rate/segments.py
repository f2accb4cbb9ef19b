"""Cuts time and call sizes where a price could change, so that all calls of one piece are priced alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.int_table import Ints
from tokenmeter.flow.rate.matching import week_minutes
from tokenmeter.flow.rate.timeline import MINUTES_PER_WEEK, WEEK_US, minute_of_week, minutes_of_week

BEFORE_ALL = -(2**62)


class Cuts:
    """Pieces of a line of integers: piece *n* begins at the *n*-th edge, piece 0 before all of them."""

    def __init__(self, edges: Iterable[int], start: int) -> None:
        self._edges = np.array(sorted(edges), np.int64)
        self._start = start

    def __len__(self) -> int:
        return len(self._edges) + 1

    def piece(self, value: int) -> int:
        """The piece that holds a value."""
        return int(np.searchsorted(self._edges, value, "right"))

    def pieces(self, values: Ints, low: int, high: int) -> Ints | int:
        """The piece of each value, or the one piece of them all; they lie within [low, high]."""
        first, last = self.piece(low), self.piece(high)
        if first == last:
            return first
        return first + np.searchsorted(self._edges[first:last], values, "right")

    def start(self, piece: int) -> int:
        """A value of the piece, its first."""
        return int(self._edges[piece - 1]) if piece else self._start


@dataclass(frozen=True, slots=True)
class Moment:
    """What of a call's time and size its price can depend on."""

    at_us: int
    minute: int
    input_tokens: int


class Segments:
    """The pieces in which no price of a book changes, each with a number: time, minute of the week, input tokens."""

    def __init__(self, book: Book) -> None:
        prices = list(book.prices.rows())
        minutes = {minute for price in prices for stretch in week_minutes(price) for minute in stretch}
        self._times = Cuts(book.prices.times_us(), BEFORE_ALL)
        self._minutes = Cuts(minutes - {0, MINUTES_PER_WEEK}, 0)
        self._sizes = Cuts({price.min_input_tokens for price in prices} - {0}, 0)

    def numbers(self, at_us: Ints, low_us: int, high_us: int, input_tokens: Ints) -> Ints | int:
        """The number of each call's piece, or the one number of them all. ``input_tokens`` are absolute, times lie
        within [low_us, high_us]."""
        times = self._times.pieces(at_us, low_us, high_us)
        minutes = self._minute_pieces(at_us, low_us, high_us)
        sizes = self._sizes.pieces(input_tokens, 0, int(input_tokens.max())) if len(self._sizes) > 1 else 0
        return (times * len(self._minutes) + minutes) * len(self._sizes) + sizes

    def _minute_pieces(self, at_us: Ints, low_us: int, high_us: int) -> Ints | int:
        if len(self._minutes) == 1:
            return 0
        low, high = minute_of_week(low_us), minute_of_week(high_us)
        if high_us - low_us >= WEEK_US or low > high:
            low, high = 0, MINUTES_PER_WEEK - 1
        return self._minutes.pieces(minutes_of_week(at_us), low, high)

    def moment(self, number: int) -> Moment:
        """A time and a size within a piece."""
        rest, size = divmod(number, len(self._sizes))
        time, minute = divmod(rest, len(self._minutes))
        return Moment(self._times.start(time), self._minutes.start(minute), self._sizes.start(size))
