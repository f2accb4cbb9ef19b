"""What a list of proposed rows would change: only rows that say something else than what is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenmeter.events.catalog_row import EVERY_WEEKDAY, CatalogRow
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.proposed import Problem, Proposed


@dataclass
class Changes:
    """``replaced`` are (the row in force, what takes its place). ``twice`` are rows that contradict one before them."""

    new: list[Proposed] = field(default_factory=list)
    replaced: list[tuple[CatalogRow, Proposed]] = field(default_factory=list)
    unchanged: int = 0
    twice: list[Problem] = field(default_factory=list)

    @property
    def rows(self) -> list[Proposed]:
        """What is to be written."""
        return [*self.new, *(proposed for _, proposed in self.replaced)]


def changes(catalog: Catalog, proposed: Sequence[Proposed]) -> Changes:
    """Compare each row with the one of its natural key that is in force when it would take effect."""
    made = Changes()
    seen: dict[tuple[object, ...], Proposed] = {}
    for one in proposed:
        row = one.row
        before = seen.setdefault((row.schema_name, row.key, row.effective_from), one)
        if before is not one:
            if not row.same_terms(before.row):
                made.twice.append(Problem(one.place, f"{named(row)} stands at {before.place} with other terms"))
            continue
        known = catalog.like(row)
        if known is None:
            made.new.append(one)
        elif row.same_terms(known):
            made.unchanged += 1
        else:
            made.replaced.append((known, one))
    return made


def named(row: CatalogRow) -> str:
    """A row by what makes up its natural key, as far as it is set."""
    parts = [
        f"{name}={value}"
        for name, value in zip(row.natural_key, row.key, strict=True)
        if value not in (None, 0) and (name, value) != ("weekdays", EVERY_WEEKDAY)
    ]
    return f"{row.schema_name.removeprefix('catalog_')} {', '.join(parts)}"
