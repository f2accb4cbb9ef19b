"""How usage.events has grown: which partition was a customer's at an offset, and where its earlier events are. Pure.

A topic grows to a multiple of its partitions only, so all the earlier events of the customers of a new partition are on
one old partition, its ancestor: ``p mod partitions_before``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import AwareDatetime

from tokenmeter.events import wire
from tokenmeter.events.errors import Misconfigured, Poison
from tokenmeter.events.models import Int32, Record

RECORD = "partition_growth"


class Growth(Record):
    """One growth of usage.events; see ``partition_growth``."""

    partitions_before: Int32
    partitions: Int32
    first_offsets: tuple[int, ...] = ()
    grown_at: AwareDatetime

    @property
    def is_finished(self) -> bool:
        """Whether customers are said to have moved."""
        return bool(self.first_offsets)

    def to_value(self) -> bytes:
        """The growth as a record of usage.growth."""
        return wire.encode(RECORD, {**self.__dict__, "first_offsets": list(self.first_offsets)})


def growths(values: Iterable[bytes | None]) -> list[Growth]:
    """Every growth, oldest first; only the last one may be unfinished. A stranger's record is passed over.

    Raises Poison when a later tokenmeter wrote one.
    """
    found: list[Growth] = []
    for value in values:
        try:
            record = wire.decode(value, expect=RECORD).record
        except Poison:
            if wire.is_newer(value):
                raise
            continue
        one = Growth(**record)
        if found and not found[-1].is_finished:
            found.pop()
        found.append(one)
    return found


def finished(found: Sequence[Growth]) -> Sequence[Growth]:
    """Raises Misconfigured when the last growth was begun and not finished: until then nobody knows whose partition
    is whose."""
    if found and not (last := found[-1]).is_finished:
        raise Misconfigured(
            f"usage.events grows from {last.partitions_before} to {last.partitions} partitions and has not got there",
            hint=f"tokenmeter topics grow {last.partitions}",
        )
    return found


def eras(found: Sequence[Growth], partition: int) -> tuple[tuple[int, int], ...]:
    """(offset at which it ended, partitions then) of each earlier count of ``partition``, oldest first."""
    return tuple(
        (one.first_offsets[partition], one.partitions_before) for one in found if partition < one.partitions_before
    )


def ancestors(found: Sequence[Growth], partition: int) -> tuple[tuple[int, int], ...]:
    """(partition, offset at which they end) of the earlier events of the customers of ``partition``, oldest first."""
    places: list[tuple[int, int]] = []
    for one in reversed(found):
        if partition >= one.partitions_before:
            partition %= one.partitions_before
            places.append((partition, one.first_offsets[partition]))
    return tuple(reversed(places))
