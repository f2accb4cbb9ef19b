"""Restores the meter's positions from the last page of each partition: the pages are the proof of what is metered.

A meter that runs is fenced first, as its own replacement would fence it, so nothing is committed in between; it ends,
is started again and goes on from the restored position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenmeter.events import wire
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.groups import METER
from tokenmeter.flow.meter.recover import is_a_page
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import Driver, KafkaDriver
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.positions import positions


@dataclass(frozen=True)
class Restored:
    """A partition whose position ``was`` not where its last page ends (0: there was none), and what it ``is``."""

    partition: int
    was: int
    is_: int
    lost: int
    """Offsets that retention removed unread, by all its pages: the position carries their count."""


MakeDriver = Callable[[int], Driver]


def wrong_positions(client: Mapping[str, Any]) -> list[Restored]:
    """What there is to restore. Raises Misconfigured when the log is another than the pages'."""
    log = KafkaLogReader(client)
    places = [(EVENTS, partition) for partition in range(log.partitions(EVENTS))]
    found = []
    for (_, partition), at in positions(client, METER.id, places).items():
        end, lost = _last_page(log, partition)
        if end > (there := log.end(EVENTS, partition)):
            raise Misconfigured(
                f"{EVENTS}/{partition} ends at offset {there}, its last page at {end - 1}: the pages are of another "
                "log",
                hint="bring the old topic back, or begin anew beside it, with a Kafka and a ClickHouse of their own",
            )
        if at != end:
            found.append(Restored(partition, at, end, lost))
    return found


def restore(client: Mapping[str, Any], make_driver: MakeDriver | None = None) -> list[Restored]:
    """Do it; what was restored. Raises Fenced when a meter takes the partition at this very moment: run it again."""
    done = []
    for one in wrong_positions(client):
        driver = make_driver(one.partition) if make_driver is not None else _driver(client, one.partition)
        driver.perform(steps.Fence())
        # The meter may have committed until it was fenced.
        end, lost = _last_page(KafkaLogReader(client), one.partition)
        driver.perform(steps.ReadPosition())
        driver.perform(steps.Begin())
        driver.perform(steps.SendOffsets(end, lost))
        driver.perform(steps.Commit())
        driver.drop()
        done.append(Restored(one.partition, one.was, end, lost))
    return done


def _driver(client: Mapping[str, Any], partition: int) -> Driver:
    return KafkaDriver(client, METER.id, EVENTS, partition)


def _last_page(log: KafkaLogReader, partition: int) -> tuple[int, int]:
    """(the offset after the last page, offsets lost by all pages). Raises Fatal while a transaction is open on the
    pages: those behind it cannot be seen, and would be metered again."""
    there = log.end(PAGES, partition)
    for _ in log.read(PAGES, partition, max(log.start(PAGES, partition), there - 1), there):
        pass
    last = log.last(PAGES, partition, wanted=is_a_page)
    if last is None:
        return 0, 0
    end, lost = int(wire.decode(last[2], expect="page").record["last_offset"]) + 1, 0
    for batch in log.read(PAGES, partition, log.start(PAGES, partition), last[0] + 1):
        lost += sum(wire.decode(value, expect="page").record["lost"] for value in batch.values if is_a_page(value))
    return end, lost
