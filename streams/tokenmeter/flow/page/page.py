"""The page: what a processor and the engine say to each other, and when a page may grow or must close.

A page is the work done on one partition between two commits. The engine knows nothing of tokens, a processor nothing
of transactions: it folds batches, and when the page closes it says what the transaction shall carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from tokenmeter.kafka.batch import RecordBatch

PAGE_SECONDS = 5.0
PAGE_MIN_SECONDS = 0.2
"""A meter's page closes at this age when its partition is nearly caught up, so it is as large as the backlog."""
PAGE_BEHIND_MAX = 2_000
"""A partition is nearly caught up when at most this many offsets are not folded yet, or as many as the page holds."""
CLOSE_SHARE_MAX = 0.3
"""... and closing its pages takes no more than this share of a CPU: each costs milliseconds, however small."""
PAGE_EVENTS = 500_000
PAGE_BYTES_MAX = 256 << 20
"""A page closes when it holds this many bytes of values, whatever its age and count."""
DEMAND_INTERVAL_S = 0.2
"""A page that asks to be closed at once is closed at most this often."""


@dataclass(frozen=True)
class PageLimits:
    """When a page closes: after ``seconds`` (age), ``events`` or ``bytes``; on demand after ``demand_interval_s``.

    While its partition is at most ``behind_max`` offsets behind, or as many as the page holds, ``min_seconds`` of age
    are enough; None: ``seconds``.
    """

    seconds: float = PAGE_SECONDS
    min_seconds: float | None = None
    behind_max: int = PAGE_BEHIND_MAX
    events: int = PAGE_EVENTS
    bytes: int = PAGE_BYTES_MAX
    demand_interval_s: float = DEMAND_INTERVAL_S


@dataclass(frozen=True)
class PageBounds:
    """The offsets [first_offset, next_offset) of one partition; ``lost`` of them retention had already removed.

    ``lost_before`` is how many it had removed unread in earlier pages of the partition.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    lost: int = 0
    lost_before: int = 0

    @property
    def last_offset(self) -> int:
        return self.next_offset - 1

    def __str__(self) -> str:
        return f"page {self.topic}/{self.partition}@[{self.first_offset},{self.last_offset}]"


@dataclass(frozen=True)
class Outgoing:
    """Records for one topic: ``values`` and ``keys`` have the same length. No partition: chosen by the key."""

    topic: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    partition: int | None = None


class Demand(Enum):
    """What a processor asks for after folding a batch."""

    NOTHING = "nothing"
    CLOSE = "close"


class Processor(Protocol):
    """The work of one partition. Every method may block: the engine calls them from a worker thread, one at a time.

    A processor is made when its partition is assigned and thrown away, whatever it holds, when the partition is
    revoked or a transaction fails; so it needs no undo.
    """

    def restore(self, position: int) -> None:
        """Rebuild the state as it was when every offset below ``position`` had been committed."""

    def add(self, batch: RecordBatch) -> Demand:
        """Fold a batch into the open page. Never raises for one bad value: that is quarantined."""

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """What the transaction of this page carries. Side effects elsewhere must be repeatable."""

    def committed(self, bounds: PageBounds) -> None:
        """The page committed: forget it and begin the next."""

    def remembered(self) -> int:
        """How many things it holds from one page to the next; asked from another thread, so about."""


@runtime_checkable
class Clocked(Protocol):
    """A processor for which time passes although nothing is read. Called as a Processor's methods are."""

    def pass_time(self) -> Demand:
        """The partition is caught up and no page is open. CLOSE makes a page of no offsets for what time has done."""


class Admission(Enum):
    """What the engine does with a batch, given the position it trusts."""

    TAKE = "take"
    TRIM = "trim"
    SKIP = "skip"
    GAP = "gap"


def admit(position: int, start_offset: int, next_offset: int) -> Admission:
    """Only the next contiguous offset is accepted.

    | batch                         | answer |
    |-------------------------------|--------|
    | ends at or before position    | SKIP: seen in rebalances, already committed by another owner |
    | begins before, ends after     | TRIM: its first part is already counted |
    | begins at position            | TAKE   |
    | begins after position         | GAP: fatal, unless retention removed what is missing |
    """
    if next_offset <= position:
        return Admission.SKIP
    if start_offset < position:
        return Admission.TRIM
    if start_offset == position:
        return Admission.TAKE
    return Admission.GAP


@dataclass
class OpenPage:
    """What the engine knows of a page that is not committed yet."""

    opened_at: float
    events: int = 0
    bytes: int = 0
    lost: int = 0
    demanded: bool = False

    def is_due(
        self, now: float, last_closed_at: float, behind: int, limits: PageLimits, close_cpu_seconds: float = 0.0
    ) -> bool:
        """Whether the page must close; ``now``, ``opened_at`` and ``last_closed_at`` are monotonic seconds.

        ``behind``: how many offsets of the partition are not in the page yet. ``close_cpu_seconds``: what closing
        the last page took of a CPU.
        """
        if self.events >= limits.events or self.bytes >= limits.bytes:
            return True
        if self.demanded and now - last_closed_at >= limits.demand_interval_s:
            return True
        if limits.min_seconds is not None and behind <= max(limits.behind_max, self.events):
            enough = max(limits.min_seconds, close_cpu_seconds / CLOSE_SHARE_MAX)
            return now - self.opened_at >= min(enough, limits.seconds)
        return now - self.opened_at >= limits.seconds
