"""Follows the topic ``catalog`` and keeps a rater for what it holds; the meters of a worker share one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tokenmeter.events.access import SILENT
from tokenmeter.events.catalog import row_or_foreign
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.rated import Rater
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.kafka.group import take

log = logging.getLogger(__name__)

STALL_S = 30.0
"""A look at the catalog that gets no answer, or reads nothing new, for this long has failed."""
ASK_S = 5.0
FETCH_WAIT_MAX_MS = 10
"""A broker answers one request of a connection after another: a fetch that waits at the end holds up the next look."""
READ_RECORDS_MAX = 10_000
READ_WAIT_S = 0.1
_PARTITION = TopicPartition(CATALOG, 0)


class CatalogRates:
    """Raters by the catalog of a cluster; see ``tokenmeter.flow.rate.rated.Rates``. ``client`` holds the settings every
    Kafka client shares."""

    def __init__(self, client: Mapping[str, Any], stall_s: float = STALL_S) -> None:
        self._settings = {
            **client,
            **SILENT,
            "group.id": "tokenmeter-catalog",  # the client wants one; nothing is ever committed to it
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": FETCH_WAIT_MAX_MS,
            "log_level": 2,
        }
        self._stall_s = stall_s
        self._lock = Lock()
        self._consumer: Consumer | None = None
        self._rater = BookRater(Book())
        self.foreign = 0
        """Records passed over because they are no rows."""

    def current(self) -> Rater:
        """See Rates: the same rater as long as nothing was committed. Fatal when the catalog cannot be read to its
        end, or a later tokenmeter wrote to it."""
        with self._lock:
            end = self._end()
            if end > self._rater.catalog_offset:
                self._rater = self._rater.follow(self._read(self._rater.catalog_offset, end), end)
            elif self._rater.is_full:
                self._rater = self._rater.follow([], end)
            return self._rater

    def close(self) -> None:
        """Leave the topic."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _end(self) -> int:
        """The last stable offset: every record below it is committed or aborted."""
        low, end = self._asked()
        if low > 0:
            raise Fatal(
                f"{CATALOG}: its first {low} rows were deleted, so prices would be wrong",
                hint="restore the topic from a backup and set retention.ms=-1 (tokenmeter topics)",
            )
        if end < self._rater.catalog_offset:
            raise Fatal(
                f"{CATALOG}: it ends at offset {end}, but was read up to {self._rater.catalog_offset}: "
                f"somebody deleted and made it again",
                hint="restore the topic from a backup, then start the worker again",
            )
        return end

    def _asked(self) -> tuple[int, int]:
        """Both ends of the topic. A broker that restarts is asked again until the deadline."""
        deadline = time.monotonic() + self._stall_s
        while True:
            try:
                low, end = self._opened().get_watermark_offsets(_PARTITION, min(ASK_S, self._stall_s))
            except KafkaException as error:
                if time.monotonic() >= deadline:
                    raise Fatal(f"{CATALOG}: its end cannot be found: {error}", hint="tokenmeter topics") from error
                time.sleep(READ_WAIT_S)
            else:
                return int(low), int(end)

    def _opened(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._settings)
        return self._consumer

    def _read(self, start: int, end: int) -> list[tuple[int, CatalogRow]]:
        """The committed rows with start <= offset < end. The consumer fetches only meanwhile, see FETCH_WAIT_MAX_MS."""
        consumer = self._opened()
        consumer.assign([TopicPartition(CATALOG, 0, start)])
        try:
            found = [(offset, _row(offset, value)) for offset, value in self._records(consumer, start, end)]
            rows = [(offset, row) for offset, row in found if row is not None]
            self.foreign += len(found) - len(rows)
            return rows
        finally:
            consumer.unassign()

    def _records(self, consumer: Consumer, position: int, end: int) -> Iterator[tuple[int, bytes | None]]:
        heard_at, trouble = time.monotonic(), ""
        while position < end:
            for message in take(consumer, min(end - position, READ_RECORDS_MAX), READ_WAIT_S):
                error, offset = message.error(), int(message.offset() or 0)
                if error is None:
                    if offset < end:
                        yield offset, message.value()
                    position = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    # Markers and aborted records are never handed out: only this says that they were passed.
                    position = max(position, offset)
                else:
                    trouble = f": {error}"  # a broker that restarts says many things; what lasts is told in the end
                    continue
                heard_at = time.monotonic()
            if time.monotonic() - heard_at > self._stall_s:
                raise Fatal(
                    f"{CATALOG}: no record for {self._stall_s:.0f} s at offset {position} of {end}{trouble}",
                    hint="tokenmeter status",
                )


def _row(offset: int, value: bytes | None) -> CatalogRow | None:
    try:
        row = row_or_foreign(value)
    except Poison as error:
        raise Fatal(
            f"{CATALOG}: offset {offset} was written by a newer tokenmeter: {error}", hint="upgrade this one first"
        ) from error
    if isinstance(row, Poison):
        log.error("%s: passed over offset %d, which is no row of the catalog: %s", CATALOG, offset, row.reason)
        return None
    return row
