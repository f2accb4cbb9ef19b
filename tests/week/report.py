"""What the week came to: an action's slowest return, what each place holds, what each part holds of the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table

from soak.flat import Bound
from support.oracle import Verdict
from week.plan import Action

BACK_MAX_S = 30.0
HELD_MIN = 18
"""Samples of a part, below which nothing is said of its growth."""
FIGURES = {"rss_mb": Bound(30, 0.15), "files": Bound(10, 0.25)}
"""How much more at last than at first. A store's open files follow its parts and segments, up and down."""
CUSTOMER_KB = {"ledger": 4, "watch": 6}
"""What these must know of each customer, at most (2.6 and 4.2 were seen): every event of the week has one of its own.
Each is begun anew a dozen times, so what it holds is what it has restored."""


@dataclass
class Week:
    """What was done and seen. ``backs``: by action, how long each part took; None: it never came back."""

    backs: list[tuple[Action, dict[str, float | None]]] = field(default_factory=list)
    held: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    known: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Beside each sample of ``held``, how many MB the customers explain that there were by then."""

    def sample(self, held: Mapping[str, tuple[float, int]], customers: int) -> None:
        """Note what each part holds."""
        for part, figures in held.items():
            self.held[part].append(figures)
            self.known[part].append(customers * CUSTOMER_KB.get(part, 0) / 1024)

    def slow(self) -> list[str]:
        """Whoever was not back in time."""
        return [
            f"after {action}: {part} back after {'never' if took is None else f'{took:.1f} s'}"
            for action, parts in self.backs
            for part, took in parts.items()
            if took is None or took > BACK_MAX_S
        ]

    def grown(self) -> list[str]:
        """Whose memory or open files were more in the last third of the week than in its first."""
        found = []
        for part, samples in self.held.items():
            for number, (figure, bound) in enumerate(FIGURES.items()):
                if len(samples) < HELD_MIN:
                    continue
                first, last = first_and_last([sample[number] for sample in samples])
                known, now_known = first_and_last(self.known[part]) if figure == "rss_mb" else (0.0, 0.0)
                if last - first > bound.absolute + bound.share * first + now_known - known:
                    found.append(f"{part} {figure}: {first:.0f} at first, {last:.0f} at last")
        return found


def first_and_last(values: Sequence[float]) -> tuple[float, float]:
    """The middle value of the first third and of the last one."""
    third = max(1, len(values) // 3)
    middle = third // 2
    return sorted(values[:third])[middle], sorted(values[-third:])[middle]


def tables(week: Week, verdicts: Mapping[str, Verdict]) -> Group:
    """For a terminal."""
    done = Table(title="who was broken how, and when all that need it worked again")
    for head in ("action", "times", "median s", "slowest s", "slowest part"):
        done.add_column(head, justify="left" if head in ("action", "slowest part") else "right")
    by_sort: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for action, parts in week.backs:
        took = [(float("inf") if s is None else s, part) for part, s in parts.items()]
        by_sort[f"{action.kind} {action.part}"].append(max(took, default=(0.0, "")))
    for sort, seen in sorted(by_sort.items()):
        seen.sort()
        done.add_row(sort, str(len(seen)), f"{seen[len(seen) // 2][0]:.1f}", f"{seen[-1][0]:.1f}", seen[-1][1])
    counted = Table(title="what was acknowledged, held against what is there")
    for head in ("place", "lost", "doubled", "never sent", "wrong"):
        counted.add_column(head, justify="left" if head == "place" else "right")
    for place, one in verdicts.items():
        counted.add_row(place, *(str(len(x)) for x in (one.lost, one.doubled, one.strangers, one.wrong)))
    held = Table(title="memory and open files, median of the first and the last third")
    for head in ("part", "samples", "MB first", "MB last", "files first", "files last"):
        held.add_column(head, justify="left" if head == "part" else "right")
    for part, samples in week.held.items():
        figures = [one for n in range(2) for one in first_and_last([sample[n] for sample in samples])]
        held.add_row(part, str(len(samples)), *(f"{one:.0f}" for one in figures))
    return Group(done, counted, held)
