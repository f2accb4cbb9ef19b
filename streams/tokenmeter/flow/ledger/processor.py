"""The ledger as a page processor: one partition of ledger.entries into account.state and alerts.

What it knows it has written to account.state, of the same partition number and in the transaction that took its input
on. So it restores by reading that partition up to the high watermark, which a dead owner's open transaction cannot
hide: the fence before has aborted it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, LEDGER
from tokenmeter.events.errors import Fatal
from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.columns.decode import Rejected
from tokenmeter.flow.ledger.alert import alert_id, time_of
from tokenmeter.flow.ledger.catalog import CatalogRows, CatalogTerms
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.terms import LedgerRules
from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.logreader import LogReader

_WHAT = {
    LEDGER: "is no entry and was not booked",
    ACCOUNT_STATE: "is no state and was passed over; had it replaced one, tokenmeter audit names the account",
}
"""What is said of a record that cannot be read."""


class LedgerProcessor:
    """See ``tokenmeter.flow.page.page.Processor``."""

    def __init__(self, partition: int, log: LogReader, catalog: CatalogRows, rules: LedgerRules | None = None) -> None:
        self._partition = partition
        self._log = log
        self._catalog = catalog
        self._rules = rules or LedgerRules()
        self._start()

    def _start(self) -> None:
        self._terms = CatalogTerms(self._rules)
        self._rows_taken = 0
        self._ledger = Ledger(self._terms, self._rules, self._partition)
        self._alerts: list[Alert] = []

    def restore(self, position: int) -> None:
        """Read the states of this partition. What is no state is alerted. See Processor.

        Fatal when one is of entries that are not committed.
        """
        self._start()
        end = self._log.end(ACCOUNT_STATE, self._partition)
        for batch in self._log.read(ACCOUNT_STATE, self._partition, 0, end):
            for bad in self._ledger.restore(batch.values):
                place = int(batch.offsets()[bad.index]), int(batch.appended_at_ms()[bad.index])
                self._alerts.append(self._unreadable(ACCOUNT_STATE, *place, bad))
        if self._ledger.next_offset > position:
            raise Fatal(
                f"{LEDGER}/{self._partition}: the committed position is {position}, but {ACCOUNT_STATE} knows entries "
                f"up to offset {self._ledger.next_offset - 1}: somebody moved the consumer group or rewrote the topic",
                hint="tokenmeter audit",
            )

    def add(self, batch: RecordBatch) -> Demand:
        """Book a batch; an alert wants the page closed at once. See Processor."""
        if not len(batch):
            return Demand.NOTHING
        times, offsets = batch.appended_at_ms(), batch.offsets()
        clock, begin = np.maximum.accumulate(times), 0
        while begin < len(batch):  # a row that takes effect within the batch is in force from its own time on
            self._follow_catalog(int(clock[begin]))
            later_ms = self._terms.next_change_ms
            end = len(batch) if later_ms is None else int(np.searchsorted(clock, later_ms))
            self._fold(batch.values[begin:end], times[begin:end], offsets[begin:end])
            begin = end
        return Demand.CLOSE if self._alerts else Demand.NOTHING

    def _fold(
        self, values: Sequence[bytes | None], times: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
    ) -> None:
        told, rejected = self._ledger.fold(values, times, offsets)
        self._alerts += told
        for bad in rejected:
            self._alerts.append(self._unreadable(LEDGER, int(offsets[bad.index]), int(times[bad.index]), bad))

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """The states that changed, the alerts, and the expiries that are due. See Processor."""
        told, due, own = self._alerts, self._ledger.expire(), self._partition
        account_ids, states = self._ledger.close(bounds.next_offset)
        return [
            Outgoing(ACCOUNT_STATE, [name.encode() for name in account_ids], states, own),
            Outgoing(ALERTS, [one.account_id.encode() for one in told], [one.to_value() for one in told]),
            Outgoing(
                LEDGER, [one.account_id.encode() for one in due], [one.to_value() for one in due], self._partition
            ),
        ]

    def committed(self, bounds: PageBounds) -> None:
        """Begin the next page. See Processor."""
        self._alerts = []

    def remembered(self) -> int:
        """The accounts. See Processor."""
        return len(self._ledger)

    def _follow_catalog(self, at_ms: int) -> None:
        rows = self._catalog.since(self._rows_taken)
        self._rows_taken += len(rows)
        for account_id, why in self._terms.advance(at_ms, rows).items():
            self._alerts += self._ledger.reconsider([account_id], at_ms, why)

    def _unreadable(self, topic: str, offset: int, at_ms: int, bad: Rejected) -> Alert:
        place, what = f"{topic}/{self._partition}@{offset}", _WHAT[topic]
        named: dict[str, Any] = {"subject_kind": "record", "subject_id": place, "kind": "invalid"}
        return Alert(
            alert_id=alert_id("", place, bad.reason),
            account_id="",
            **named,
            state=AlertState.NOTICE,
            severity=AlertSeverity.CRITICAL,
            topic=topic,
            partition=self._partition,
            first_offset=offset,
            last_offset=offset,
            broker_at=time_of(at_ms),
            since=time_of(at_ms),
            sentence=f"the record {place} {what}: {bad.reason}: {bad.detail}",
        )
