"""Which partition of usage.events is a customer's, and which events lie on another: their producer has another
partitioner. An event there is seen by a meter that does not know its repeats, so nobody may count it. Pure."""

from __future__ import annotations

import polars as pl
from aiokafka.partitioner import murmur2

MISROUTED = "misrouted"
CUSTOMERS_CACHED_MAX = 1_000_000


def partition_of(customer_id: str, partitions: int) -> int:
    """Where the Java clients' partitioner puts a customer."""
    hashed: int = murmur2(customer_id.encode())
    return (hashed & 0x7FFFFFFF) % partitions


class Routes:
    """Of one partition of a topic that has ``partitions``; remembers the customers it has seen."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.partition = partition
        self.partitions = partitions
        self._own: set[str] = set()
        self._others: set[str] = set()

    def split(self, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(events of customers that belong here, events that are misrouted)."""
        if self.partitions <= 1:
            return events, events.clear()
        strangers = set(events.get_column("customer_id").unique().to_list()) - self._own
        strangers = self._learn(strangers) if strangers else strangers
        if not strangers:
            return events, events.clear()
        misrouted = events.get_column("customer_id").is_in(list(strangers))
        return events.filter(~misrouted), events.filter(misrouted)

    def detail(self, customer_id: str) -> str:
        """For the quarantine: where the event is, and where it belongs."""
        return (
            f"on partition {self.partition}, but its customer's is {partition_of(customer_id, self.partitions)} of "
            f"{self.partitions}: the producer must partition by murmur2 of the customer_id (partitioner=murmur2_random)"
        )

    def _learn(self, customers: set[str]) -> set[str]:
        """Those of ``customers`` that belong elsewhere."""
        new = customers - self._others
        own = {customer for customer in new if partition_of(customer, self.partitions) == self.partition}
        if len(self._own) + len(self._others) + len(new) > CUSTOMERS_CACHED_MAX:
            self._own, self._others = set(), set()
        self._own |= own
        self._others |= new - own
        return customers - own
