"""Folds batches into the open page: decode, the accept rule, whose partition it is, repeats. Many events at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from tokenmeter.events import accept
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import APPENDED_AT_MS, REASON, validate
from tokenmeter.flow.meter.blame import Blame
from tokenmeter.flow.meter.dedup import CONFLICT, DUPLICATE, FRESH, Horizon, dedup_keys
from tokenmeter.flow.meter.open_page import OpenPage
from tokenmeter.flow.meter.routes import MISROUTED, Homes
from tokenmeter.flow.meter.rules import MeterRules
from tokenmeter.kafka.batch import RecordBatch, merged

_WHOSE = ("customer_id", "event_id", "source")
_CONFLICTS = "an event with this identity but another payload was appended within the dedup horizon"


class Fold:
    """Of one partition of usage.events; ``homes`` says which customers' it is."""

    def __init__(self, partition: int, rules: MeterRules) -> None:
        self._partition = partition
        self._rules = rules
        self.homes = Homes(partition, 1)
        self.horizon = Horizon(rules.horizon_ms)
        self.blame = Blame(partition)

    def usable(self, batch: RecordBatch) -> pl.DataFrame:
        """The events of a batch that the accept rule takes."""
        usable, _ = validate(*self.decoded(batch)[:2])
        return usable

    def decoded(self, batch: RecordBatch) -> tuple[pl.DataFrame, Any, list[Any]]:
        """(events, when each was appended, values that are none)."""
        decoded = decode(batch.values)
        return decoded.frame, batch.appended_at_ms()[decoded.frame[INDEX].to_numpy()], decoded.rejected

    def fold(self, page: OpenPage) -> None:
        """Fold the batches that wait; Fatal when most of the page is poison."""
        if not page.waiting:
            return
        batch, page.waiting = merged(page.waiting), []
        frame, appended_at_ms, rejected = self.decoded(batch)
        offsets = batch.offsets()
        stamps = batch.appended_at_ms()

        def put_aside(index: int, reason: str, detail: str, *whose: str | None) -> None:
            self.put_aside(page, batch.values[index], int(offsets[index]), int(stamps[index]), reason, detail, *whose)

        for bad in rejected:
            put_aside(bad.index, bad.reason, bad.detail)
        usable, refused = validate(frame, appended_at_ms)
        for row in refused.select_seq(INDEX, REASON, *_WHOSE).iter_rows():
            put_aside(row[0], row[1], accept.DETAILS[row[1]], *row[2:])
        usable, misrouted = self.homes.split(usable, offsets[usable[INDEX].to_numpy()])
        for strays, routes in misrouted:
            for row in strays.select_seq(INDEX, *_WHOSE).iter_rows():
                put_aside(row[0], MISROUTED, routes.detail(row[1]), *row[1:])
        keys = dedup_keys(usable, usable[APPENDED_AT_MS].to_numpy())
        status = self.horizon.admit(keys)
        page.keys.append(keys)
        page.newest_ms = max(page.newest_ms, int(stamps[-1]) if len(stamps) else 0)
        if status.any():
            for row in usable.filter(status == CONFLICT).select_seq(INDEX, *_WHOSE).iter_rows():
                put_aside(row[0], "conflict", _CONFLICTS, *row[1:])
            page.duplicates += int(np.count_nonzero(status == DUPLICATE))
            usable = usable.filter(status == FRESH)
        self._stop_on_outage(page, batch.next_offset)
        page.held.append(usable)

    def put_aside(
        self,
        page: OpenPage,
        value: bytes | None,
        offset: int,
        appended_at_ms: int,
        reason: str,
        detail: str,
        customer_id: str | None = None,
        event_id: str | None = None,
        source: str | None = None,
    ) -> None:
        """One event into quarantine, its bytes as they came."""
        page.hit.add(reason, customer_id, source)
        self.blame.add(reason, customer_id, source, offset, appended_at_ms)
        page.quarantined.append(
            {
                "partition": self._partition,
                "offset": offset,
                "appended_at": appended_at_ms,
                "reason": reason,
                "detail": detail,
                "customer_id": customer_id,
                "event_id": event_id,
                "value": value or b"",
            }
        )

    def _stop_on_outage(self, page: OpenPage, next_offset: int) -> None:
        if page.hit.is_outage(page.events_in, self._rules):
            raise Fatal(
                f"{EVENTS}/{self._partition}: {page.hit.events} of {page.events_in} events up to offset "
                f"{next_offset - 1} cannot be used ({page.hit.told()}); more than "
                f"{self._rules.quarantine_ratio_max:.0%} is an outage",
                hint="mend the producer, or raise TOKENMETER_QUARANTINE_RATIO_MAX to quarantine them all",
            )
