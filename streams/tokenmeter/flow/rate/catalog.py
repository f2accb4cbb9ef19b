"""Follows the topic ``catalog`` and keeps a rater for what it holds; the meters of a worker share one."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tokenmeter.events.catalog import row_or_foreign
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.rated import Rater
from tokenmeter.flow.rate.rater import BookRater
from tokenmeter.kafka.group import READING, lone
from tokenmeter.kafka.reading import Pace, to_the_ends

log = logging.getLogger(__name__)

STALL_S = 30.0
"""A look at the catalog that gets no answer, or reads nothing new, for this long has failed."""
ASK_S = 5.0
FETCH_WAIT_MAX_MS = 10
"""A broker answers one request of a connection after another: a fetch that waits at the end holds up the next look."""
READ_RECORDS_MAX = 10_000
READ_WAIT_S = 0.1
SETTINGS = {
    **READING,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "fetch.min.bytes": 1,
    "fetch.wait.max.ms": FETCH_WAIT_MAX_MS,
}
_PARTITION = TopicPartition(CATALOG, 0)


class CatalogRates:
    """Raters by the catalog of a cluster; see ``tokenmeter.flow.rate.rated.Rates``. ``client`` holds the settings every
    Kafka client shares."""

    def __init__(self, client: Mapping[str, Any], stall_s: float = STALL_S) -> None:
        self._client = client
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
            self._consumer = lone(self._client, "tokenmeter-catalog", SETTINGS)
        return self._consumer

    def _read(self, start: int, end: int) -> list[tuple[int, CatalogRow]]:
        """The committed rows with start <= offset < end. The consumer fetches only meanwhile, see FETCH_WAIT_MAX_MS."""
        consumer = self._opened()
        pace = Pace(READ_RECORDS_MAX, READ_WAIT_S, self._stall_s)
        try:
            taken = to_the_ends(consumer, CATALOG, {0: start}, end, pace)
            records = [(int(one.offset() or 0), one.value()) for some in taken for one in some.messages]
            found = [(offset, _row(offset, value)) for offset, value in records if offset < end]
            rows = [(offset, row) for offset, row in found if row is not None]
            self.foreign += len(found) - len(rows)
            return rows
        finally:
            consumer.unassign()


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
