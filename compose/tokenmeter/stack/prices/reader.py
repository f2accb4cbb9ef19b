"""Reads the catalog's topic to its end."""

from __future__ import annotations

from collections.abc import Iterator

from tokenmeter.events.catalog import row_or_foreign
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.kafka.logreader import LogReader
from tokenmeter.stack.prices.catalog import Catalog


def read_catalog(log: LogReader) -> Catalog:
    """Every committed row. Fatal when the topic does not exist or a newer tokenmeter wrote to it."""
    if log.partitions(CATALOG) != 1:
        raise Fatal(f"topic {CATALOG} must have one partition, which orders its rows", hint="tokenmeter topics")
    end = log.end(CATALOG, 0)
    return Catalog(_rows(log, end), end)


def _rows(log: LogReader, end: int) -> Iterator[tuple[int, CatalogRow]]:
    for batch in log.read(CATALOG, 0, 0, end):
        for offset, value in zip(batch.offsets().tolist(), batch.values, strict=True):
            try:
                row = row_or_foreign(value)
            except Poison as error:
                raise Fatal(
                    f"{CATALOG}/0 offset {offset} was written by a newer tokenmeter: {error.detail}",
                    hint="upgrade this one first",
                ) from error
            if not isinstance(row, Poison):
                yield offset, row
