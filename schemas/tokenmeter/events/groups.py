"""The consumer groups of the workers and the topics that each reads; an app's id is its group's."""

from __future__ import annotations

from dataclasses import dataclass

from tokenmeter.events.contract import (
    ACCOUNT_STATE,
    ALERTS,
    BILLING,
    EVENTS,
    LEDGER,
    MARKET,
    PAGES,
    QUARANTINE,
    RESALE,
)


@dataclass(frozen=True)
class Group:
    """A consumer group: where it is in ``topics`` is committed under its ``id``."""

    id: str
    topics: tuple[str, ...]


METER = Group("tokenmeter-meter", (EVENTS,))
LEDGERS = Group("tokenmeter-ledger", (LEDGER,))
WATCH = Group("tokenmeter-watch", (BILLING, MARKET))
LOAD = Group("tokenmeter-load", (EVENTS, BILLING, MARKET, RESALE, PAGES, QUARANTINE, LEDGER, ACCOUNT_STATE, ALERTS))
GROUPS = {"meter": METER, "load": LOAD, "ledger": LEDGERS, "watch": WATCH}
"""By the verb that runs it."""
