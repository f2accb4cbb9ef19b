"""Which table each topic is loaded into."""

from __future__ import annotations

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

TABLES: dict[str, tuple[str, str]] = {
    EVENTS: ("usage_event", "usage_events"),
    BILLING: ("billing_line", "usage_billing"),
    MARKET: ("market_line", "usage_market"),
    RESALE: ("resale_line", "usage_resale"),
    PAGES: ("page", "usage_pages"),
    QUARANTINE: ("quarantined_event", "quarantine"),
    LEDGER: ("ledger_entry", "ledger_entries"),
    ACCOUNT_STATE: ("account_state", "account_states"),
    ALERTS: ("alert", "alerts"),
}
"""Topic: (record, table)."""
