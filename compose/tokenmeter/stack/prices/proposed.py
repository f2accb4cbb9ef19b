"""What a file or a command proposes to write, where it said so, and what of it was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.errors import Misconfigured

PROBLEMS_SHOWN_MAX = 20


@dataclass(frozen=True)
class Place:
    """Where a row was read: a line of a file, or the command line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


COMMAND_LINE = Place("command line")


@dataclass(frozen=True)
class Proposed:
    """A row and where it was read."""

    row: CatalogRow
    place: Place


@dataclass(frozen=True)
class Skipped:
    """An entry of a price list, or one field of it, that made no row. ``reason`` is one of few; ``detail`` its own."""

    place: Place
    entry: str
    field: str | None
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Problem:
    """Why a proposed row is refused."""

    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass
class Parsed:
    """All that a price list gave."""

    rows: list[Proposed] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, place: Place, entry: str, field: str | None, reason: str, detail: str = "") -> None:
        self.skipped.append(Skipped(place, entry, field, reason, detail))

    def by_reason(self) -> list[tuple[str, int, Skipped]]:
        """(reason, how often, an example), the most frequent first."""
        counts = Counter(one.reason for one in self.skipped)
        example = {one.reason: one for one in reversed(self.skipped)}
        return [(reason, count, example[reason]) for reason, count in counts.most_common()]


class Rejected(Misconfigured):
    """Proposed rows break a rule of the catalog: none of them is written."""

    def __init__(self, problems: Iterable[Problem], *, hint: str | None = None) -> None:
        self.problems = list(problems)
        shown = "\n".join(f"  {one}" for one in self.problems[:PROBLEMS_SHOWN_MAX])
        more = len(self.problems) - PROBLEMS_SHOWN_MAX
        rest = f"\n  and {more} more" if more > 0 else ""
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) != 1)}"
        super().__init__(
            f"nothing was written: {count}\n{shown}{rest}\n",
            hint=hint or "correct these and run the command again",
        )


def read_text(path: Path) -> str:
    """A file's text; Misconfigured when there is none."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read {path}: {error}", hint="name a file that exists, in UTF-8") from error
