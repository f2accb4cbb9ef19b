"""Writes rows to the catalog in one Kafka transaction: all of them or none.

The transactional id is fixed. A second writer shuts the first one out, and reads all that it committed before it judges
what it is about to write itself; so what two people check at once is never written by both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tokenmeter.events.access import SILENT
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal, Fenced
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import Changes, changes
from tokenmeter.stack.prices.proposed import Proposed, Rejected
from tokenmeter.stack.prices.reader import read_catalog
from tokenmeter.stack.prices.validate import problems

TRANSACTIONAL_ID = "tokenmeter-catalog-writer"
TRANSACTION_TIMEOUT_MS = 60_000
KAFKA_WAIT_S = 30.0
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


@dataclass(frozen=True)
class Written:
    """What was written, and the catalog offset from which it is known."""

    changes: Changes
    catalog_offset: int


def publish(
    client: Mapping[str, Any],
    propose: Callable[[Catalog], Sequence[Proposed]],
    tokens: Collection[str] = (),
    write: bool = True,
) -> Written:
    """Write what of ``propose(catalog)`` says something new. Rejected when a rule is broken, Fenced when another writer
    has begun since: nothing is written then. With ``write`` off nothing is, and nobody is shut out."""
    writer = CatalogWriter(client) if write else None
    if writer is not None:
        writer.fence()
    catalog = read_catalog(KafkaLogReader(client))
    found = changes(catalog, propose(catalog))
    wrong = [*found.twice, *problems(catalog, found.rows, tokens)]
    if wrong:
        raise Rejected(wrong)
    if writer is None or not found.rows:
        return Written(found, catalog.catalog_offset)
    return Written(found, writer.write([one.row for one in found.rows]))


class CatalogWriter:
    """Opened by ``fence``, which must come before the catalog is read."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                **SILENT,
                **client,
                "transactional.id": TRANSACTIONAL_ID,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "log_level": 2,
            }
        )
        self._offsets: list[int] = []

    def fence(self) -> None:
        """Shut any other writer out and abort what it left open."""
        self._do(lambda: self._producer.init_transactions(KAFKA_WAIT_S))

    def write(self, rows: Sequence[CatalogRow]) -> int:
        """Write all rows or none; returns the catalog offset from which they are known."""
        self._do(self._producer.begin_transaction)
        try:
            self.send(rows)
            self._do(lambda: self._producer.commit_transaction(KAFKA_WAIT_S))
        except BaseException:
            with suppress(KafkaException):
                self._producer.abort_transaction(KAFKA_WAIT_S)
            raise
        return max(self._offsets, default=-1) + 1

    def send(self, rows: Sequence[CatalogRow]) -> None:
        """Produce rows, in order, into the open transaction."""
        for row in rows:
            value, key = row.to_value(), row.row_id.encode()
            try:
                self._producer.produce(CATALOG, value, key, 0, on_delivery=self._delivered)
            except BufferError:
                self._producer.flush(KAFKA_WAIT_S)
                self._producer.produce(CATALOG, value, key, 0, on_delivery=self._delivered)
            self._producer.poll(0)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is None:
            self._offsets.append(int(message.offset()))

    def _do(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in _FENCED:
                raise Fenced(
                    f"another change of the catalog has begun since: {cause.str()}; nothing of this one was written",
                    hint="run the command again when the other one is done",
                ) from error
            raise Fatal(
                f"the catalog could not be written: {cause.str()}; nothing of this change was",
                hint="run the command again: what is there already is not written twice",
            ) from error
