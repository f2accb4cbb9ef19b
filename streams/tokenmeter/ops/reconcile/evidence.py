"""Whether the raw events can be believed: before anything is taken off a line, the log must prove the store whole.

A raw row that was lost looks exactly like an event that was metered twice, and taking it off would give usage away. So
every usable event that the log holds of a wrong page, for the customers it is wrong for, must be in the raw table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import BILLING_USAGE_KEYS
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import validate
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.ops.reconcile.corrections import PageDifference
from tokenmeter.ops.reconcile.sources import Store

CHUNK_IDENTITIES = 500_000
_CUSTOMER = BILLING_USAGE_KEYS.index("customer_id")
_IDENTITY = ("customer_id", "event_id")


@dataclass
class Stretch:
    """Offsets [begin, end) of a partition, and the customers that lines of their pages are wrong for."""

    partition: int
    begin: int
    end: int
    customers: set[str]


def stretches(pages: Iterable[tuple[PageDifference, int]]) -> list[Stretch]:
    """Pages that follow each other are read in one go: opening the log costs more than a page."""
    found: list[Stretch] = []
    for page, end in sorted(pages, key=lambda entry: (entry[0].partition, entry[0].first_offset)):
        customers = {key[_CUSTOMER] for key in page.billing}
        if found and (found[-1].partition, found[-1].end) == (page.partition, page.first_offset):
            found[-1].end = end
            found[-1].customers |= customers
        else:
            found.append(Stretch(page.partition, page.first_offset, end, customers))
    return found


class Evidence:
    """The log's records, asked about one page after another."""

    def __init__(self, client: Mapping[str, Any], store: Store, run_id: str) -> None:
        self._client = dict(client)
        self._log = KafkaLogReader(client)
        self._store = store
        self._run_id = run_id
        self._starts: dict[int, int] = {}
        self._chunks = 0

    def holds(self, page: PageDifference) -> bool:
        """Whether the log still has the page's first record."""
        if page.partition not in self._starts:
            self._starts[page.partition] = self._log.start(EVENTS, page.partition)
        return page.first_offset >= self._starts[page.partition]

    def require_whole(self, pages: Sequence[tuple[PageDifference, int]]) -> None:
        """Raises Fatal naming an event of ``pages`` (each with the offset it ends before) that the raw table lacks."""
        held = 0
        frames: list[pl.DataFrame] = []
        for stretch in stretches(pages):
            for frame in self._identities(stretch):
                frames.append(frame)
                held += frame.height
                if held >= CHUNK_IDENTITIES:
                    self._require_stored(frames)
                    frames, held = [], 0
        if held:
            self._require_stored(frames)

    def _identities(self, stretch: Stretch) -> Iterator[pl.DataFrame]:
        customers = pl.Series(sorted(stretch.customers), dtype=pl.String).implode()
        for batch in self._log.read(EVENTS, stretch.partition, stretch.begin, stretch.end):
            frame = decode(batch.values).frame
            usable, _ = validate(frame, batch.appended_at_ms()[frame[INDEX].to_numpy()])
            yield usable.select(_IDENTITY).filter(pl.col("customer_id").is_in(customers))

    def _require_stored(self, frames: list[pl.DataFrame]) -> None:
        self._chunks += 1
        chunk = f"{self._run_id}-{self._chunks}"
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
