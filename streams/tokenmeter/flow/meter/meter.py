"""The meter's processor: recover what came before, fold batches into the open page, close it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tokenmeter.events import growth
from tokenmeter.events.contract import ALERTS, EVENTS
from tokenmeter.events.lines import FIRST_DIGEST
from tokenmeter.flow.meter.close import close
from tokenmeter.flow.meter.dedup import joined
from tokenmeter.flow.meter.fold import Fold
from tokenmeter.flow.meter.journal import Journal, NoJournal, Span
from tokenmeter.flow.meter.open_page import OpenPage
from tokenmeter.flow.meter.recover import Recovery
from tokenmeter.flow.meter.routes import Homes, Routes
from tokenmeter.flow.meter.rules import MeterRules
from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.flow.rate.rated import Rates
from tokenmeter.flow.rate.unrated import Unrated
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.growths import read_growths
from tokenmeter.kafka.logreader import LogReader

DECODED_EVENTS_MIN = 1_000
"""Small batches are decoded and checked together: each time costs 4 ms, however few there are. Larger ones do not
wait, for what was just fetched is still near the CPU."""
TOGETHER_EVENTS_MIN = 5_000
"""Events are rated and added up together: each time costs 20 ms."""


class MeterProcessor:
    """A page processor for ``partition`` of usage.events; see ``tokenmeter.flow.page.page.Processor``."""

    _recovery = Recovery
    _folding = Fold

    def __init__(
        self,
        partition: int,
        log: LogReader,
        now: Callable[[], datetime],
        name: str,
        rules: MeterRules | None = None,
        journal: Journal | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._partition = partition
        self._log = log
        self._now = now
        self._name = name
        self._rules = rules or MeterRules()
        self._journal = journal or NoJournal()
        self._rates = rates or Unrated()
        self._fold = self._folding(partition, self._rules)
        self._previous_digest = FIRST_DIGEST
        self._digest = FIRST_DIGEST
        self._open: OpenPage | None = None

    @property
    def _page(self) -> OpenPage:
        """The open page; the catalog is looked at when it opens."""
        if self._open is None:
            self._open = OpenPage(self._rates.current())
        return self._open

    def restore(self, position: int) -> None:
        """Find the head of the page chain, and the horizon in the journal or else in the log. See Processor."""
        grown, partitions = growth.finished(read_growths(self._log)), self._log.partitions(EVENTS)
        self._fold.homes = Homes(self._partition, partitions, growth.eras(grown, self._partition))
        own = Routes(self._partition, partitions)
        recovery = self._recovery(
            self._partition,
            self._log,
            self._journal,
            self._rules.horizon_ms,
            self._fold.usable,
            growth.ancestors(grown, self._partition),
            lambda batch: own.split(self._fold.usable(batch))[0],
        )
        self._previous_digest = recovery.head(position)
        recovery.fill(self._fold.horizon, position, self._previous_digest)

    def add(self, batch: RecordBatch) -> Demand:
        """Fold one batch. See Processor; Fatal when most of the page is poison."""
        page = self._page
        page.events_in += len(batch)
        page.waiting.append(batch)
        if sum(map(len, page.waiting)) >= DECODED_EVENTS_MIN:
            self._fold.fold(page)
        if sum(frame.height for frame in page.held) >= TOGETHER_EVENTS_MIN:
            page.add_up()
        return Demand.NOTHING

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        """The page's lines, quarantined events and its own record. See Processor."""
        self._fold.fold(self._page)
        self._page.add_up()
        outgoing, self._digest = close(self._page, bounds, self._now(), self._name, self._previous_digest)
        told = self._fold.blame.take()
        if told:
            outgoing.insert(
                0, Outgoing(ALERTS, [one.account_id.encode() for one in told], [one.to_value() for one in told])
            )
        return outgoing

    def remembered(self) -> int:
        """Identities in the dedup horizon. See Processor."""
        return len(self._fold.horizon)

    def committed(self, bounds: PageBounds) -> None:
        """Begin the next page. See Processor."""
        self._previous_digest = self._digest
        span = Span(bounds.first_offset, bounds.next_offset, self._page.newest_ms, self._digest)
        self._journal.append(span, joined(self._page.keys))
        self._open = None
