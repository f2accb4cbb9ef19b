"""Reads an upstream's usage export into sums by day, model and currency; names every line it cannot read."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Row
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from tokenmeter.events.catalog_row import Currency
from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.supplier.figures import EXACT, Figures, Key, decimal_of
from tokenmeter.ops.supplier.mapping import CostColumn, Mapping, TimeColumn

_CURRENCY: TypeAdapter[str] = TypeAdapter(Currency)


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be used, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass
class Export:
    """What a file says. ``zone`` is whose days its days are; ``lines`` counts those that were read."""

    mapping: Mapping
    zone: ZoneInfo
    sums: dict[Key, Figures] = field(default_factory=lambda: defaultdict(Figures))
    lines: int = 0
    bad: list[BadLine] = field(default_factory=list)


def read_export(path: Path, layouts: Sequence[Mapping]) -> Export:
    """The sums of a file, by the first layout whose columns it has. Misconfigured when it has those of none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            mapping = _layout_of(path, lines.readline(), layouts)
            lines.seek(0)
            reader = csv.DictReader(lines, delimiter=mapping.delimiter, strict=True)
            export = Export(mapping, ZoneInfo("UTC"))
            _read_lines(path, reader, export)
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {error}") from error
    return export


def _layout_of(path: Path, header: str, layouts: Sequence[Mapping]) -> Mapping:
    missing = {}
    for mapping in layouts:
        names = next(csv.reader([header.removeprefix("\ufeff")], delimiter=mapping.delimiter), [])
        missing[mapping.name] = [name for name in mapping.columns if name not in names]
        if not missing[mapping.name]:
            return mapping
    said = "; ".join(f"{name} needs also {', '.join(columns)}" for name, columns in missing.items())
    raise Misconfigured(f"{path}:1: the header lacks columns: {said}", hint="write a mapping: --mapping FILE.toml")


def _read_lines(path: Path, reader: csv.DictReader[str], export: Export) -> None:
    lines = _numbered(reader)
    while True:
        try:
            line, row = next(lines)
            if found := _line(row, export):
                export.sums[found[0]] += found[1]
                export.lines += 1
        except StopIteration:
            return
        except csv.Error as error:
            # The reader counts a line once it has read it; at the end of the file it has read all.
            unread = 0 if "end of data" in str(error) else 1
            export.bad.append(BadLine(str(path), reader.line_num + unread, str(error)))
            return  # where the next line begins is not known
        except (ValueError, ArithmeticError) as error:
            export.bad.append(BadLine(str(path), line, str(error)))


def _numbered(reader: csv.DictReader[str]) -> Iterator[tuple[int, Row[str, str | None]]]:
    for row in reader:
        yield reader.line_num, row


def _line(row: Row[str, str | None], export: Export) -> tuple[Key, Figures] | None:
    """One line; None when it says nothing; ValueError when it cannot be read."""
    mapping = export.mapping
    if None in row:
        raise ValueError("more fields than the header has")
    if mapping.skip_when_empty and not any((row[name] or "").strip() for name in mapping.skip_when_empty):
        return None
    model = mapping.model.ours(_text(row, mapping.model.column))
    currency, cost = _cost(row, mapping.cost) if mapping.cost else (None, None)
    tokens = (
        [_tokens(row, name) for name in (mapping.tokens.input, mapping.tokens.output)] if mapping.tokens else [0, 0]
    )
    day = _day(_text(row, mapping.time.column), mapping.time, export)
    return Key(day, model, currency), Figures(cost, tokens[0], tokens[1])


def _text(row: Row[str, str | None], column: str) -> str:
    text = (row[column] or "").strip()
    if not text:
        raise ValueError(f"{column} is empty")
    return text


def _day(text: str, time: TimeColumn, export: Export) -> date:
    """The UTC day of a time. A day without a time stays what it is: a day of its zone."""
    if time.format in ("unix", "unix_ms"):
        seconds = EXACT.scaleb(decimal_of(text), -3 if time.format == "unix_ms" else 0)
        return datetime.fromtimestamp(int(seconds), UTC).date()
    if time.format == "iso":
        bare = len(text) == len("2026-11-01")
        at = datetime.fromisoformat(text)
    else:
        bare = not any(mark in time.format for mark in ("%H", "%I", "%c", "%X", "%T"))
        at = datetime.strptime(text, time.format)
    if bare:
        export.zone = time.zone
        return at.date()
    return (at if at.tzinfo else at.replace(tzinfo=time.zone)).astimezone(UTC).date()


def _tokens(row: Row[str, str | None], column: str) -> int:
    value = decimal_of((row[column] or "").strip() or "0")
    if value != int(value):
        raise ValueError(f"{column} {value} is not a whole number")
    return int(value)


def _cost(row: Row[str, str | None], column: CostColumn) -> tuple[str, Decimal]:
    currency = column.currency
    if currency is None:
        said = _text(row, column.currency_column or "").upper()
        try:
            currency = _CURRENCY.validate_python(said)
        except ValidationError:
            raise ValueError(f"{said!r} is no currency") from None
    return currency, EXACT.multiply(decimal_of(_text(row, column.column)), column.unit)
