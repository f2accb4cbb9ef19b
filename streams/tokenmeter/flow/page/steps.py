"""The steps of owning a partition and of committing a page, as generators of effects.

A decision yields an effect and is sent its result, so the order of fence, read, produce, send and commit is written
once: production performs the effects on Kafka, a test crashes before and after each of them or interleaves two owners.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tokenmeter.events.errors import Fatal
from tokenmeter.flow.page.page import Outgoing, PageBounds


@dataclass(frozen=True)
class Position:
    """What a group has committed for a partition: the next offset, and how many before it retention removed unread."""

    next_offset: int
    lost: int = 0


NOTHING_COMMITTED = Position(0)
"""Where a partition begins that nobody has committed yet: whatever the log has lost of it since, nobody has read."""


@dataclass(frozen=True)
class Fence:
    """Initialise the transactional id: aborts a dead owner's transaction and shuts a living one out."""


@dataclass(frozen=True)
class ReadPosition:
    """The group's committed Position, or NOTHING_COMMITTED."""


@dataclass(frozen=True)
class ReadLogStart:
    """The first offset the partition still has."""


@dataclass(frozen=True)
class Restore:
    """Let the processor rebuild its state as of ``position``."""

    position: int


@dataclass(frozen=True)
class Close:
    """Let the processor say what the page's transaction carries: a list of Outgoing."""

    bounds: PageBounds


@dataclass(frozen=True)
class Begin:
    """Begin the transaction."""


@dataclass(frozen=True)
class Produce:
    """Put these records into the transaction."""

    outgoing: tuple[Outgoing, ...]


@dataclass(frozen=True)
class SendOffsets:
    """Put the next input offset into the transaction, for the app's consumer group; ``lost`` as in Position."""

    next_offset: int
    lost: int = 0


@dataclass(frozen=True)
class Commit:
    """Commit: from here on the page happened."""


@dataclass(frozen=True)
class Committed:
    """Let the processor forget the page."""

    bounds: PageBounds


Effect = Fence | ReadPosition | ReadLogStart | Restore | Close | Begin | Produce | SendOffsets | Commit | Committed
Steps = Generator[Effect, Any, Any]


def own() -> Generator[Effect, Any, Position]:
    """Take a partition: fence **before** the position is read, then restore. Returns the position to go on from."""
    yield Fence()
    position: Position = yield ReadPosition()
    yield Restore(position.next_offset)
    return position


def cross_gap(topic: str, partition: int, position: int, start_offset: int) -> Generator[Effect, Any, int]:
    """Offsets are missing between the position and the next batch. Returns how many retention removed.

    Raises Fatal when the log still has them: then the reader is wrong, and a restart begins at the position again.
    """
    log_start: int = yield ReadLogStart()
    if log_start < start_offset:
        raise Fatal(
            f"{topic}/{partition}: the next batch begins at offset {start_offset}, the position is {position} "
            f"and the log still begins at {log_start}: refusing to skip {start_offset - position} offsets",
            hint="restart this worker; it resumes at the committed position",
        )
    return start_offset - position


def position_of(bounds: PageBounds) -> SendOffsets:
    """What a page puts into its transaction as the group's position."""
    return SendOffsets(bounds.next_offset, bounds.lost_before + bounds.lost)


def commit(bounds: PageBounds) -> Generator[Effect, Any, None]:
    """Close a page: outputs and position go into one transaction, and only then is the page forgotten."""
    outgoing: list[Outgoing] = yield Close(bounds)
    yield Begin()
    yield Produce(tuple(outgoing))
    yield position_of(bounds)
    yield Commit()
    yield Committed(bounds)
