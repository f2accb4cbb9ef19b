"""Which partition of usage.events is a customer's, and which events lie on another: their producer has another
partitioner. An event there is seen by a meter that does not know its repeats, so nobody may count it. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.kafka.partitioner import partition_of

MISROUTED = "misrouted"
CUSTOMERS_CACHED_MAX = 1_000_000


class Routes:
    """Of one partition of a topic that has ``partitions``; remembers the customers that belong there by a hash, with a
    seed of its own: the look at a batch of known customers is two passes of numpy."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.partition = partition
        self.partitions = partitions
        self._seed = secrets.randbits(64)
        self._own = np.zeros(0, np.uint64)
        """Sorted."""

    def split(self, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """(events of customers that belong here, events that are misrouted or None)."""
        customers = events.get_column("customer_id")
        if self.partitions <= 1 or self._knows(customers):
            return events, None
        names = customers.unique()
        own = np.array([partition_of(name, self.partitions) == self.partition for name in names.to_list()], bool)
        if len(self._own) + len(names) > CUSTOMERS_CACHED_MAX:
            self._own = np.zeros(0, np.uint64)
        self._own = np.union1d(self._own, self._hashes(names.filter(own)))
        if own.all():
            return events, None
        here = customers.is_in(names.filter(own).implode())
        return events.filter(here), events.filter(~here)

    def detail(self, customer_id: str) -> str:
        """For the quarantine: where the event is, and where it belongs."""
        return (
            f"on partition {self.partition}, but its customer's is {partition_of(customer_id, self.partitions)} of "
            f"{self.partitions}: the producer must partition by murmur2 of the customer_id (partitioner=murmur2_random)"
        )

    def _hashes(self, customers: pl.Series) -> npt.NDArray[np.uint64]:
        return customers.hash(self._seed).to_numpy()

    def _knows(self, customers: pl.Series) -> bool:
        """Whether all of them belong here for sure."""
        if not len(self._own):
            return not len(customers)
        asked = np.sort(self._hashes(customers))
        place = np.minimum(np.searchsorted(self._own, asked), len(self._own) - 1)
        return bool((self._own[place] == asked).all())


class Homes:
    """Routes of a partition whose topic has grown: ``eras`` as in ``events.growth``, by the offset of an event."""

    def __init__(self, partition: int, partitions: int, eras: Sequence[tuple[int, int]] = ()) -> None:
        self._ends = [end for end, _ in eras]
        self._routes = [Routes(partition, count) for count in (*(before for _, before in eras), partitions)]

    def split(
        self, events: pl.DataFrame, offsets: npt.NDArray[np.int64]
    ) -> tuple[pl.DataFrame, list[tuple[pl.DataFrame, Routes]]]:
        """(events of customers that belong here, those that are misrouted with the routes that say so)."""
        kept, misrouted, begin = [], [], 0
        for number, routes in enumerate(self._routes):
            is_last = number == len(self._ends)
            end = len(offsets) if is_last else max(begin, int(np.searchsorted(offsets, self._ends[number])))
            if begin < end or is_last:
                whole = begin == 0 and end == len(offsets)
                here, elsewhere = routes.split(events if whole else events.slice(begin, end - begin))
                kept.append(here)
                if elsewhere is not None:
                    misrouted.append((elsewhere, routes))
            begin = end
        return (kept[0] if len(kept) == 1 else pl.concat(kept)), misrouted
