"""The catalog as the audit reads it: every row with its offset, whoever asks, once a process."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from tokenmeter.audit.blocks import Block
from tokenmeter.audit.charges import Charges
from tokenmeter.audit.foreign import Foreign
from tokenmeter.audit.hashing import Key
from tokenmeter.audit.ratings import Ratings
from tokenmeter.events.catalog import row_of
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Poison

Values = list[tuple[int, bytes | None]]
"""Records of the topic by offset."""


@dataclass(frozen=True)
class Catalog:
    """``rows`` by offset."""

    rows: Sequence[tuple[int, CatalogRow]] = ()
    _ratings: dict[tuple[int, int], Ratings] = field(default_factory=dict)

    @cached_property
    def charges(self) -> Charges:
        return Charges(self.rows)

    def ratings(self, key: Key) -> Ratings:
        """What is known of ratings, whichever recount asked first; hashed by ``key``."""
        drawn = int(key.multiplier), int(key.start)
        if drawn not in self._ratings:
            self._ratings[drawn] = Ratings(self.charges, key)
        return self._ratings[drawn]


def judged(blocks: Iterable[Block]) -> tuple[Values, list[Foreign]]:
    """The records that are rows, and those that are none."""
    values: Values = []
    bad: list[Foreign] = []
    for block in blocks:
        for offset, value in zip(block.offsets.tolist(), block.values, strict=True):
            try:
                row_of(value)
                values.append((offset, value))
            except Poison as poison:
                bad.append(Foreign(CATALOG, 0, offset, "row of the catalog", poison.reason))
    return values, bad


def keep(values: Values, path: Path) -> None:
    """Write rows where other processes find them."""
    path.write_bytes(pickle.dumps(values))


@cache
def kept(path: Path) -> Catalog:
    """The catalog that was kept there."""
    values: Values = pickle.loads(path.read_bytes())
    return Catalog([(offset, row_of(value)) for offset, value in values])
