"""What the calls of a demo must cost, by the contract's page alone: the audit's rating, one call at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tokenmeter.audit.charges import Charges
from tokenmeter.emit.replay.replay import Sent
from tokenmeter.events import UsageEvent
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.lines import ERROR_STATUS_MIN

CHARGE, COST, RESALE = "charge", "cost", "resale"


class Owed:
    """Adds up, in pico-units by kind and currency (``charge USD``), what each event owes that was not sent before."""

    def __init__(self, rows: Iterable[CatalogRow]) -> None:
        self._charges = Charges(enumerate(rows))
        self.amounts: Counter[str] = Counter()
        self.unpriced = 0

    def counted(self, events: Iterable[UsageEvent], sent: Sent) -> Iterator[UsageEvent]:
        """The events unchanged; those that ``sent`` does not know yet are added up as they pass."""
        for event in events:
            if (event.customer_id, event.event_id) not in sent.ids:
                self._add(event)
            yield event

    def _add(self, event: UsageEvent) -> None:
        charges = self._charges
        rating = charges.rating_of_event(event.to_record())
        failed = event.status >= ERROR_STATUS_MIN or event.error_class is not None
        counts = {"events": 1, "errors": int(failed), **{name: getattr(event, name) for name in QUANTITY_FIELDS}}
        owed = [(CHARGE, rating.price_id), (COST, rating.cost_price_id)]
        for kind, price_id in [*owed, *((RESALE, level.price_id) for level in rating.levels)]:
            amount = charges.charge(price_id, counts)
            if amount:
                self.amounts[f"{kind} {charges.currency(price_id)}"] += amount
        self.unpriced += rating.price_id is None
