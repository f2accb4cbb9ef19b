"""The catalog as the audit reads it: every row with its offset, whoever asks, once a process."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tokenmeter.events.catalog import CatalogRow, row_of
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Poison
from tokenmeter.stack.audit.blocks import Block
from tokenmeter.stack.audit.charges import Charges
from tokenmeter.stack.audit.compare import Difference

Values = list[tuple[int, bytes | None]]
"""Records of the topic by offset."""


@dataclass(frozen=True)
class Catalog:
    """``rows`` by offset."""

    rows: Sequence[tuple[int, CatalogRow]] = ()

    @cached_property
    def charges(self) -> Charges:
        return Charges(self.rows)


def judged(blocks: Iterable[Block]) -> tuple[Values, list[Difference]]:
    """The records that are rows, and a difference for each that is none."""
    values: Values = []
    bad: list[Difference] = []
    for block in blocks:
        for offset, value in zip(block.offsets.tolist(), block.values, strict=True):
            try:
                row_of(value)
                values.append((offset, value))
            except Poison as poison:
                bad.append(
                    Difference(f"{CATALOG}/0 offset {offset}", "value", "contract", "a row", CATALOG, poison.reason)
                )
    return values, bad


def keep(values: Values, path: Path) -> None:
    """Write rows where other processes find them."""
    path.write_bytes(pickle.dumps(values))


@cache
def kept(path: Path) -> Catalog:
    """The catalog that was kept there."""
    values: Values = pickle.loads(path.read_bytes())
    return Catalog([(offset, row_of(value)) for offset, value in values])
