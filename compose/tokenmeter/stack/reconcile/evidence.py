"""Whether the raw events can be believed: before anything is taken off a line, the log must prove the store whole.

A raw row that was lost looks exactly like an event that was metered twice, and taking it off would give usage away. So
every usable event that the log holds of a wrong page, for the customers it is wrong for, must be in the raw table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl
from confluent_kafka import Consumer, TopicPartition

from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import BILLING_KEYS
from tokenmeter.flow.decode import INDEX, decode
from tokenmeter.flow.judge import judge
from tokenmeter.flow.logreader import KafkaLogReader
from tokenmeter.stack.reconcile.corrections import PageDifference
from tokenmeter.stack.reconcile.sources import KAFKA_TIMEOUT_S, Store

CHUNK_IDENTITIES = 500_000
_CUSTOMER = BILLING_KEYS.index("customer_id")
_IDENTITY = ("customer_id", "event_id")


class Evidence:
    """The log's records, asked about one page after another."""

    def __init__(self, client: Mapping[str, Any], store: Store, run_id: str) -> None:
        self._client = dict(client)
        self._log = KafkaLogReader(client)
        self._store = store
        self._run_id = run_id
        self._starts: dict[int, int] = {}

    def holds(self, page: PageDifference) -> bool:
        """Whether the log still has the page's first record."""
        if page.partition not in self._starts:
            self._starts[page.partition] = self._start(page.partition)
        return page.first_offset >= self._starts[page.partition]

    def require_whole(self, pages: Iterable[tuple[PageDifference, int]]) -> None:
        """Raises Fatal naming an event of ``pages`` (each with the offset it ends before) that the raw table lacks."""
        held = 0
        frames: list[pl.DataFrame] = []
        for number, (page, end) in enumerate(pages):
            for frame in self._identities(page, end):
                frames.append(frame)
                held += frame.height
                if held >= CHUNK_IDENTITIES:
                    self._require_stored(f"{self._run_id}-{number}-{held}", frames)
                    frames, held = [], 0
        if frames:
            self._require_stored(f"{self._run_id}-last", frames)

    def _identities(self, page: PageDifference, end: int) -> Iterator[pl.DataFrame]:
        customers = pl.Series([key[_CUSTOMER] for key in page.billing], dtype=pl.String).unique().implode()
        for batch in self._log.read(EVENTS, page.partition, page.first_offset, end):
            frame = decode(batch.values).frame
            usable, _ = judge(frame, batch.appended_at_ms()[frame[INDEX].to_numpy()])
            yield usable.select(_IDENTITY).filter(pl.col("customer_id").is_in(customers))

    def _require_stored(self, chunk: str, frames: list[pl.DataFrame]) -> None:
        rows = pl.concat(frames).unique()
        self._store.client.insert(
            "tokenmeter.reconcile_identities",
            [[chunk, *row] for row in rows.iter_rows()],
            column_names=["chunk", *_IDENTITY],
        )
        missing = [f"{row['customer_id']}/{row['event_id']}" for row in self._store.rows("not_stored", chunk=chunk)]
        if missing:
            raise Fatal(
                f"the raw table lacks events that {EVENTS} holds, e.g. {', '.join(missing)}: what looks metered twice "
                "may only be missing there, so nothing was corrected",
                hint="tokenmeter audit; load the raw events again before reconciling",
            )

    def _start(self, partition: int) -> int:
        consumer = Consumer({**self._client, "group.id": "tokenmeter-reconcile", "enable.auto.commit": False})
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(EVENTS, partition), KAFKA_TIMEOUT_S)[0])
        finally:
            consumer.close()
