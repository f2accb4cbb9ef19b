"""Prices in bulk from a CSV file: the columns of ``terms``, a price a line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from typing import TypeVar

from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.proposed import Parsed, Place, Problem, Proposed, Rejected
from tokenmeter.stack.prices.terms import COLUMNS, price_of

Row = TypeVar("Row", bound=CatalogRow)


def read_prices(text: str, file: str, options: Options) -> Parsed:
    """The prices of a CSV file. Rejected naming every line that is none."""
    rows = rows_of(text, file, COLUMNS, lambda told: price_of(told, options.effective_from, options.book))
    return Parsed([one for one in rows if _wanted(one, options)])


def _wanted(one: Proposed, options: Options) -> bool:
    return not options.providers or getattr(one.row, "provider", None) in options.providers


def rows_of(
    text: str, file: str, columns: tuple[str, ...], row_of: Callable[[Mapping[str, str | None]], CatalogRow]
) -> list[Proposed]:
    """A row for each line, made by ``row_of``, whose ValueErrors are gathered with their lines. Rejected if any."""
    made: list[Proposed] = []
    problems: list[Problem] = []
    for line, told in _lines(text, file, columns):
        try:
            if None in told:
                raise ValueError("more cells than the first line has columns")
            made.append(Proposed(row_of(told), Place(file, line)))
        except ValueError as error:
            problems.append(Problem(Place(file, line), str(error)))
    if problems:
        raise Rejected(problems)
    return made


def _lines(text: str, file: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str | None]]]:
    reader = csv.DictReader(StringIO(text), skipinitialspace=True)
    unknown = sorted(set(reader.fieldnames or ()) - set(columns))
    if unknown or not reader.fieldnames:
        raise Misconfigured(
            f"{file}:1: no column is called {', '.join(unknown) or '(the file is empty)'}",
            hint=f"the first line names columns, of {', '.join(columns)}",
        )
    for told in reader:
        first = next(iter(told.values()), None) or ""
        if not first.startswith("#"):
            yield reader.line_num, told
