"""Accounts, journals and alerts for people: tables and lines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.events.ledger import AccountState, Alert, LedgerEntry
from tokenmeter.stack.credit.read import Placed
from tokenmeter.stack.prices.shown import plain


def clock(at: datetime | None, empty: str = "") -> str:
    """A time in UTC."""
    return empty if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"


def verdict(state: AccountState) -> str:
    """Whether the account may call, and why not."""
    until = f" until {clock(state.refused_until)}" if state.refused_until else ""
    return "allowed" if state.allowed else f"refused: {state.reason}{until}"


def summary(state: AccountState) -> str:
    """The account in a line."""
    credit = "no limit" if state.credit is None else f"of {plain(state.credit)}"
    used = f"used {plain(state.used)} {credit}"
    return f"{state.account_id}: balance {plain(state.balance)} {state.currency}, {used}, {verdict(state)}"


def facts(state: AccountState) -> Table:
    """The account's figures, one a row."""
    made = Table(show_header=False, box=SIMPLE_HEAD)
    made.add_column(overflow="fold")
    made.add_column(justify="right", overflow="fold")
    rows: list[tuple[str, str]] = [
        ("account", state.account_id),
        ("mode", f"{state.mode.lower()}, {state.status.lower()}"),
        ("verdict", verdict(state)),
        (f"balance {state.currency}", plain(state.balance)),
        ("credit", "no limit" if state.credit is None else plain(state.credit)),
        ("used", plain(state.used)),
        ("exposure", plain(state.overdraft)),
        ("  unbilled", plain(state.unbilled)),
        ("  billed, unpaid", plain(state.billed_unpaid)),
        ("charged", plain(state.charged)),
        ("  provisional", plain(state.provisional)),
        ("calls", f"{state.calls:,}"),
        ("  unpriced", f"{state.unpriced:,}"),
        ("as of", clock(state.as_of)),
    ]
    for name, value in rows:
        made.add_row(name, Text(value))
    return made


def details(state: AccountState) -> list[Table]:
    """Grants, windows of budgets and open alerts, as far as there are any."""
    grants = Table("grant", "left", "of", "priority", "expires", "", title="grants", box=SIMPLE_HEAD)
    for one in state.grants:
        mark = "promotional" if one.promotional else ""
        amounts = (plain(one.remaining), plain(one.amount))
        grants.add_row(Text(one.grant_id), *amounts, str(one.priority), clock(one.expires_at, "never"), mark)
    windows = Table("budget of", "window", "spent", "of", "ends", "", title="budgets", box=SIMPLE_HEAD)
    for window in state.windows:
        budget = "no budget now" if window.budget is None else plain(window.budget)
        mark = "" if window.allowed else "used up"
        where = Text(f"{window.scope.lower()} {window.scope_id}")
        windows.add_row(where, window.window, plain(window.spent), budget, clock(window.ends_at, "never"), mark)
    alarms = Table("line", "since", "alert", title="open alerts", box=SIMPLE_HEAD)
    for alarm in state.alarms:
        alarms.add_row(Text(alarm.alarm), clock(alarm.since), alarm.alert_id)
    return [table for table in (grants, windows, alarms) if table.row_count]


def accounts(states: Iterable[AccountState]) -> Table:
    """One account a row, by name."""
    made = Table("account", "currency", "balance", "used", "credit", "open alerts", "verdict", box=SIMPLE_HEAD)
    for state in sorted(states, key=lambda one: one.account_id):
        credit = "no limit" if state.credit is None else plain(state.credit)
        figures = (state.currency, plain(state.balance), plain(state.used), credit, str(len(state.alarms)))
        made.add_row(Text(state.account_id, overflow="fold"), *figures, verdict(state))
    return made


def entries(found: Iterable[Placed]) -> Table:
    """One entry a row, in the order of the journal."""
    made = Table("made", "kind", "amount", "currency", "entry", "what", "place", box=SIMPLE_HEAD)
    for one in found:
        entry = one.entry
        amount = entry.amount if entry.amount is not None else entry.billed_amount
        text = "" if amount is None else _signed(amount)
        place = f"{one.partition}@{one.offset}"
        row = (clock(entry.made_at), entry.kind, text, entry.currency, Text(entry.entry_id), Text(_what(entry)), place)
        made.add_row(*row)
    return made


def alert_line(alert: Alert) -> str:
    """An alert in a line, as it happens."""
    return f"{clock(alert.broker_at)} {alert.severity} {alert.state} {alert.sentence}"


def figures(alert: Alert) -> Table:
    """An alert's figures, one a row, as far as it has them."""
    made = Table(show_header=False, box=SIMPLE_HEAD)
    made.add_column()
    made.add_column(overflow="fold")
    money = f" {alert.currency}" if alert.currency else ""
    rows = {
        "alert": alert.alert_id,
        alert.subject_kind: alert.subject_id,
        "account": alert.account_id,
        "kind": f"{alert.kind}, {alert.state}",
        "measure": alert.measure,
        "expected": None if alert.expected is None else plain(alert.expected),
        "seen": None if alert.seen is None else plain(alert.seen),
        "score (−log10 p)": alert.score,
        "since": clock(alert.since),
        "amount": None if alert.amount is None else plain(alert.amount) + money,
        "in an hour": None if alert.projected_amount is None else plain(alert.projected_amount) + money,
        "lines": None if alert.first_offset is None else f"{alert.topic}/{alert.partition}@{alert.first_offset}…",
    }
    for name, value in rows.items():
        if value not in (None, ""):
            made.add_row(name, Text(str(value)))
    return made


def as_json(record: AccountState | LedgerEntry | Alert, **more: Any) -> dict[str, Any]:
    """Amounts as text, so that no reader rounds them."""
    return {**record.model_dump(mode="json"), **more}


def _signed(amount: Decimal) -> str:
    return plain(amount) if amount < 0 else f"+{plain(amount)}"


def _what(entry: LedgerEntry) -> str:
    parts = [
        f"{entry.calls:,} calls" if entry.calls else "",
        f"for {entry.scope.lower()} {entry.scope_id}" if entry.scope else "",
        f"takes back {entry.voids}" if entry.voids else "",
        f"of grant {entry.grant_id}" if entry.grant_id else "",
        f"reference {entry.reference}" if entry.reference else "",
        f"expires {clock(entry.expires_at)}" if entry.expires_at else "",
        "promotional" if entry.promotional else "",
        entry.note or "",
    ]
    return ", ".join(part for part in parts if part)
