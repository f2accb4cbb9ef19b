"""A comparison for people, spreadsheets and programs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tokenmeter.ops.supplier.compare import Row, Verdict
from tokenmeter.ops.supplier.export import BadLine
from tokenmeter.ops.supplier.figures import exact_sum

ROWS_SHOWN = 40
"""Rows of the table; --csv and --json have all."""


@dataclass
class Comparison:
    """What was compared, and what came out."""

    theirs: str
    """What their side is called: an upstream's file, or ``reported``."""
    rows: list[Row]
    bad: list[BadLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Every row matches and every line was read."""
        return not self.bad and all(row.verdict is Verdict.MATCHED for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For --json; amounts are texts, so that no reader rounds them."""
        return {
            "ok": self.ok,
            "theirs": self.theirs,
            "verdicts": dict(Counter(str(row.verdict) for row in self.rows)),
            "rows": [_record(row) for row in self.rows],
            "bad_lines": [{"file": one.file, "line": one.line, "reason": one.reason} for one in self.bad],
            "notes": self.notes,
        }

    def write_csv(self, path: Path) -> None:
        """All rows."""
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, COLUMNS)
            writer.writeheader()
            writer.writerows(_record(row) for row in self.rows)

    def table(self) -> Table:
        """What does not match first, then the sums of each currency."""
        table = Table(title=f"{self.theirs} against our lines", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("day", "model", "theirs", "ours", "ours - theirs", "", "verdict"):
            table.add_column(name, justify="right" if "ours" in name or name == "theirs" else "left", overflow="fold")
        first = sorted(self.rows, key=lambda row: row.verdict is Verdict.MATCHED)
        for row in first[:ROWS_SHOWN]:
            table.add_row(*_cells(row))
        if len(first) > ROWS_SHOWN:
            table.add_row("", f"and {len(first) - ROWS_SHOWN} more: --csv or --json", *[""] * 5)
        for currency, theirs, ours in totals(self.rows):
            table.add_row("all", "", theirs, ours, "", currency, "", style="bold")
        return table


COLUMNS = (
    "day",
    "model",
    "provider",
    "currency",
    "verdict",
    "their_cost",
    "our_cost",
    "difference",
    "their_input_tokens",
    "our_input_tokens",
    "their_output_tokens",
    "our_output_tokens",
    "our_calls",
    "our_uncosted_calls",
)


def _record(row: Row) -> dict[str, Any]:
    theirs, ours = row.theirs, row.ours
    values = (
        row.key.day.isoformat(),
        row.key.model,
        row.key.provider,
        row.key.currency,
        str(row.verdict),
        _amount(theirs.cost if theirs else None),
        _amount(ours.cost if ours else None),
        _amount(row.difference),
        theirs.input_tokens if theirs else None,
        ours.input_tokens if ours else None,
        theirs.output_tokens if theirs else None,
        ours.output_tokens if ours else None,
        ours.calls if ours else None,
        ours.uncosted_calls if ours else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _amount(value: Any) -> str | None:
    return None if value is None else f"{value:f}"


def _cells(row: Row) -> tuple[str, ...]:
    model = row.key.model + (f" ({row.key.provider})" if row.key.provider else "")
    note = f", {row.ours.uncosted_calls:,} calls" if row.ours and row.verdict is Verdict.UNCOSTED else ""
    if row.key.currency is None and row.verdict is not Verdict.UNCOSTED:
        pairs = [f"{s.input_tokens:,} + {s.output_tokens:,} tokens" if s else "-" for s in (row.theirs, row.ours)]
        return (row.key.day.isoformat(), model, *pairs, "", "", str(row.verdict))
    costs = [_amount(side.cost if side else None) or "-" for side in (row.theirs, row.ours)]
    return (
        row.key.day.isoformat(),
        model,
        *costs,
        _amount(row.difference) or "-",
        row.key.currency or "",
        f"{row.verdict}{note}",
    )


def totals(rows: Sequence[Row]) -> Iterator[tuple[str, str, str]]:
    """(currency, theirs, ours) for each currency: amounts of two are never added."""
    for currency in sorted({row.key.currency for row in rows if row.key.currency is not None}):
        sides = []
        for side in ("theirs", "ours"):
            figures = [getattr(row, side) for row in rows if row.key.currency == currency]
            sides.append(exact_sum([one.cost for one in figures if one is not None and one.cost is not None]))
        yield currency, f"{sides[0]:f}", f"{sides[1]:f}"
