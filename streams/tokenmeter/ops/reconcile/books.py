"""Raters by the catalog as it was known at any of its offsets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from tokenmeter.events.catalog import row_or_foreign
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal, Misconfigured, Poison
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.rated import Rater
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.kafka.logreader import LogReader

RATERS_MAX = 16
"""Raters kept: pages come in the order of their offsets, and so do the catalogs they knew."""


class Books:
    """The catalog of a cluster, read once, when it is first needed."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._raters: dict[int, Rater] = {}

    @cached_property
    def end(self) -> int:
        """The offset below which every row is known."""
        return self._log.end(CATALOG, 0)

    def at(self, offset: int) -> Rater:
        """The rater of a page that knew the catalog below ``offset``."""
        if offset > self.end:
            raise Misconfigured(f"{CATALOG} ends at offset {self.end}: nothing is known at {offset} yet")
        if offset not in self._raters:
            if len(self._raters) == RATERS_MAX:
                self._raters.pop(next(iter(self._raters)))
            rows = [(place, row) for place, row in self._rows if place < offset]
            self._raters[offset] = BookRater(Book(rows, offset))
        return self._raters[offset]

    @cached_property
    def _rows(self) -> Sequence[tuple[int, CatalogRow]]:
        found: list[tuple[int, CatalogRow]] = []
        for batch in self._log.read(CATALOG, 0, 0, self.end):
            for offset, value in zip(batch.offsets().tolist(), batch.values, strict=True):
                try:
                    row = row_or_foreign(value)
                except Poison as error:
                    raise Fatal(
                        f"{CATALOG}: offset {offset} was written by a newer tokenmeter: {error}",
                        hint="upgrade this one first",
                    ) from error
                if not isinstance(row, Poison):
                    found.append((offset, row))
        return found
