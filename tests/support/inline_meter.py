"""A meter without Faust: one partition, read and committed page by page when a test says so, on a real broker."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from support.broker import lag
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.groups import METER
from tokenmeter.flow.meter import MeterProcessor
from tokenmeter.flow.meter.journal import Journal
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import KafkaDriver
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.flow.page.performer import Performer, run
from tokenmeter.kafka.logreader import KafkaLogReader

Contents = dict[tuple[int, int], tuple[int, int]]
"""Identity: (payload digest, append time)."""


class InlineMeter:
    """Owns partition 0 from when it is made. ``meter`` is the processor's class: a test's mutant or production's."""

    def __init__(
        self, bootstrap: str, journal: Journal | None = None, meter: type[MeterProcessor] = MeterProcessor
    ) -> None:
        lag(bootstrap, METER.id, EVENTS)  # a young broker does not know its groups yet
        client = {"bootstrap.servers": bootstrap}
        self._log = KafkaLogReader(client)
        self.meter = meter(0, self._log, lambda: datetime.now(UTC), "inline", None, journal)
        driver = KafkaDriver(client, METER.id, EVENTS, 0)
        self._performer = Performer(driver, self.meter, driver.name)
        self.position: int = run(steps.own(), self._performer).next_offset

    def page(self) -> None:
        """Meter everything there is as one page."""
        end = self._log.end(EVENTS, 0)
        for batch in self._log.read(EVENTS, 0, self.position, end):
            self.meter.add(batch)
            end = batch.next_offset
        run(steps.commit(PageBounds(EVENTS, 0, self.position, end)), self._performer)
        self.position = end

    def contents(self) -> Contents:
        """What its horizon knows."""
        known: Contents = {}
        for run_ in self.meter._fold.horizon._runs:
            columns = (run_.high, run_.low, run_.digest, run_.appended_at_ms)
            for high, low, digest, at_ms in np.column_stack([c.astype(np.uint64) for c in columns]).tolist():
                known[high, low] = (digest, at_ms)
        return known

    def close(self) -> None:
        self._performer.drop()
