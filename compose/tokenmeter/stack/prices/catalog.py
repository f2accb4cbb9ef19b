"""The catalog as a list of rows with their offsets: what is in force at a time, and what it would be with more rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.timeline import Timeline, epoch_us

Kind = TypeVar("Kind", bound=CatalogRow)
Key = tuple[Any, ...]


class Catalog:
    """Rows of the topic below ``catalog_offset``, as they were read. Never changed once made."""

    def __init__(self, rows: Iterable[tuple[int, CatalogRow]] = (), catalog_offset: int = 0) -> None:
        self.rows = tuple(rows)
        self.catalog_offset = catalog_offset
        timed: dict[str, list[tuple[Key, int, int, CatalogRow]]] = defaultdict(list)
        for offset, row in self.rows:
            timed[row.schema_name].append((row.key, epoch_us(row.effective_from), offset, row))
        self._timelines: dict[str, Timeline[Key, CatalogRow]] = {
            name: Timeline[Key, CatalogRow]().extended(rows) for name, rows in timed.items()
        }

    def timeline(self, kind: type[CatalogRow]) -> Timeline[Key, CatalogRow]:
        """All rows of one kind by natural key."""
        return self._timelines.get(kind.schema_name, Timeline())

    def in_force(self, kind: type[Kind], at: datetime) -> Iterator[Kind]:
        """The rows of one kind that are in force, one for each natural key, withdrawn ones too."""
        timeline, at_us = self.timeline(kind), epoch_us(at)
        for key in timeline.keys():  # noqa: SIM118 - a Timeline is no mapping
            row = timeline.in_force(key, at_us)
            if row is not None:
                yield row  # type: ignore[misc]  # its timeline holds no other kind

    def find(self, kind: type[Kind], key: Key, at: datetime) -> Kind | None:
        """The row of a natural key that is in force."""
        return self.timeline(kind).in_force(key, epoch_us(at))  # type: ignore[return-value]

    def like(self, row: Kind) -> Kind | None:
        """The row that ``row`` would take the place of: its natural key's, in force when it takes effect."""
        return self.find(type(row), row.key, row.effective_from)

    def extended(self, rows: Iterable[CatalogRow]) -> Catalog:
        """The catalog as it would be once these rows are written after it."""
        added = list(enumerate(rows, self.catalog_offset))
        return Catalog((*self.rows, *added), self.catalog_offset + len(added))

    def book(self) -> Book:
        """The same rows as the meter uses them."""
        return Book(self.rows, self.catalog_offset)
