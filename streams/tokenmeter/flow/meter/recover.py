"""What a meter needs from before its first page: the digest its next page continues, and the dedup horizon.

The horizon is read from the journal on the meter's own disk where usage.pages vouches for it, and else from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tokenmeter.events import wire
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.events.lines import FIRST_DIGEST
from tokenmeter.flow.columns.decode import INDEX
from tokenmeter.flow.columns.validate import APPENDED_AT_MS
from tokenmeter.flow.meter.dedup import DedupKeys, Horizon, dedup_keys, joined
from tokenmeter.flow.meter.journal import NO_DIGEST, Journal, Span, Stored
from tokenmeter.flow.meter.rejected import refused_since
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.logreader import LogReader

JOURNAL_BEHIND_PAGES_MAX = 16
"""A journal that ends more pages before the head of the chain is not searched for; the log is read instead."""


@dataclass(frozen=True)
class Recovery:
    """Recovers one partition. ``usable`` gives the events of a batch that the accept rule passes, with INDEX;
    ``inherited`` those of a batch of one of ``ancestors`` (see events.growth) whose customers are this partition's now.
    """

    partition: int
    log: LogReader
    journal: Journal
    horizon_ms: int
    usable: Callable[[RecordBatch], pl.DataFrame]
    ancestors: Sequence[tuple[int, int]] = ()
    inherited: Callable[[RecordBatch], pl.DataFrame] = lambda batch: pl.DataFrame()

    def head(self, position: int) -> bytes:
        """The digest of the last page; Fatal unless it ends right before ``position``."""
        found = self.log.last(PAGES, self.partition, wanted=is_a_page)
        if found is None:
            return FIRST_DIGEST
        page = wire.decode(found[2], expect="page").record
        if page["last_offset"] + 1 != position:
            raise Fatal(
                f"{EVENTS}/{self.partition}: the committed position is {position}, but the last page of {PAGES} ends "
                f"at offset {page['last_offset']}: the consumer group was deleted or moved, or the topic rewritten",
                hint="tokenmeter position restore --apply; then tokenmeter audit",
            )
        digest: bytes = page["digest"]
        return digest

    def fill(self, horizon: Horizon, position: int, digest: bytes) -> None:
        """Admit every event of the horizon below ``position``, where the page with ``digest`` ends."""
        before = self.log.last(EVENTS, self.partition, position)
        self._inherit(horizon, None if before is None else before[1] - self.horizon_ms)
        if before is None:
            return
        since_ms = before[1] - self.horizon_ms
        start = self.log.offset_at(EVENTS, self.partition, since_ms)
        at = position if start is None else start
        for entry in self._remembered():
            if entry.span.next_offset > at:
                for _, _, read in self._read_keys(at, entry.span.first_offset, since_ms):
                    horizon.admit(read)
                horizon.admit(self.journal.load(entry))
                at = entry.span.next_offset
        self._fill_rest(horizon, at, position, since_ms, before[1], digest)

    def _inherit(self, horizon: Horizon, since_ms: int | None) -> None:
        """Admit what the customers of this partition sent before they were moved to it. Without events of its own the
        partition's first one may come at once: then a horizon before the ancestor's last event is enough."""
        for partition, end in self.ancestors:
            last = self.log.last(EVENTS, partition, end)
            if last is None:
                continue
            begin_ms = last[1] - self.horizon_ms if since_ms is None else since_ms
            start = self.log.offset_at(EVENTS, partition, begin_ms)
            if start is None or start >= end:
                continue
            for _, _, read in self._keys_of(partition, start, end, begin_ms, self.inherited):
                horizon.admit(read)

    def _fill_rest(
        self, horizon: Horizon, at: int, position: int, since_ms: int, newest_ms: int, digest: bytes
    ) -> None:
        """Read from the log what the journal lacks, and let the journal have it for the next restart."""
        if at >= position:
            return
        held: tuple[int, DedupKeys] | None = None
        for first_offset, next_offset, read in self._read_keys(at, position, since_ms):
            horizon.admit(read)
            if held is not None:
                self.journal.append(Span(held[0], first_offset, newest_ms, NO_DIGEST), held[1])
            held, at = (first_offset, read), next_offset
        first_offset, read = held or (at, joined([]))
        self.journal.append(Span(first_offset, position, newest_ms, digest), read)

    def _read_keys(self, start: int, end: int, since_ms: int) -> Iterator[tuple[int, int, DedupKeys]]:
        """(first offset, next offset, keys of the events that were usable) of each batch in [start, end), all of it
        appended since ``since_ms``."""
        if start < end:
            yield from self._keys_of(self.partition, start, end, since_ms, self.usable)

    def _keys_of(
        self, partition: int, start: int, end: int, since_ms: int, usable_of: Callable[[RecordBatch], pl.DataFrame]
    ) -> Iterator[tuple[int, int, DedupKeys]]:
        refused = refused_since(self.log, partition, since_ms)
        for batch in self.log.read(EVENTS, partition, start, end):
            usable = usable_of(batch)
            usable = usable.filter(~np.isin(batch.offsets()[usable[INDEX].to_numpy()], refused))
            yield batch.start_offset, batch.next_offset, dedup_keys(usable, usable[APPENDED_AT_MS].to_numpy())

    def _remembered(self) -> list[Stored]:
        """The journal's entries if they belong to this log: the last ends with a page that usage.pages has."""
        stored = self.journal.stored()
        while stored and stored[-1].span.digest == NO_DIGEST:
            stored.pop()
        if not stored:
            return []
        if not self._is_page(stored[-1].span):
            self.journal.clear()
            return []
        return stored

    def _is_page(self, span: Span) -> bool:
        """Whether one of the newest pages of usage.pages ends where the span does, with its digest."""
        before = None
        for _ in range(JOURNAL_BEHIND_PAGES_MAX):
            found = self.log.last(PAGES, self.partition, before, is_a_page)
            if found is None:
                return False
            page = wire.decode(found[2], expect="page").record
            if page["last_offset"] < span.next_offset:
                return bool(page["last_offset"] + 1 == span.next_offset and page["digest"] == span.digest)
            before = found[0]
        return False


def is_a_page(value: bytes | None) -> bool:
    """False for a stranger's record. Poison when a later tokenmeter wrote it."""
    try:
        wire.decode(value, expect="page")
    except Poison:
        if wire.is_newer(value):
            raise
        return False
    return True
