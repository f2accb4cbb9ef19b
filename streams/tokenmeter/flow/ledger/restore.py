"""Accounts back from the records of account.state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tokenmeter.events import wire
from tokenmeter.events.errors import Fatal
from tokenmeter.events.rating import pico
from tokenmeter.flow.columns.decode import Rejected, decode
from tokenmeter.flow.ledger.account import Account, Counted, Grant, Open
from tokenmeter.flow.ledger.entry import BUCKET_MS
from tokenmeter.flow.ledger.state import ACCOUNT_SCOPE

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def accounts_of(values: Sequence[bytes | None]) -> tuple[list[Account], int, list[Rejected]]:
    """The accounts of some states, the last of each, the next offset of the newest, and what is no state.

    Fatal when a later tokenmeter wrote one: nothing else remembers what it said.
    """
    decoded = decode(values, "account_state")
    for bad in decoded.rejected:
        if wire.is_newer(values[bad.index]):
            raise Fatal(f"account.state was written by a newer tokenmeter: {bad.detail}", hint="upgrade this one first")
    newest = decoded.frame.unique("account_id", keep="last")
    next_offset = decoded.frame["next_offset"].max() if decoded.frame.height else 0
    assert isinstance(next_offset, int)
    return [_account(row) for row in newest.iter_rows(named=True)], next_offset, decoded.rejected


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _ms_or_none(at: datetime | None) -> int | None:
    return None if at is None else _ms(at)


def _account(row: dict[str, Any]) -> Account:
    as_of_ms = _ms(row["as_of"])
    account = Account(
        row["account_id"],
        row["currency"],
        version=row["version"],
        as_of_ms=as_of_ms,
        bucket=as_of_ms // BUCKET_MS,
        calls=row["calls"],
        unpriced=row["unpriced"],
        expired=row["expired"],
        forgotten_until_ms=_ms_or_none(row["forgotten_until"]),
        balance_pico=pico(row["balance"]),
        overdraft_pico=pico(row["overdraft"]),
        granted_pico=pico(row["granted"]),
        invoiced_pico=pico(row["invoiced"]),
        paid_pico=pico(row["paid"]),
        charged_pico=pico(row["charged"]),
        provisional_pico=pico(row["provisional"]),
    )
    account.grants = [
        Grant(
            grant["grant_id"],
            pico(grant["amount"]),
            pico(grant["remaining"]),
            grant["priority"],
            _ms_or_none(grant["expires_at"]),
            grant["promotional"],
            order,  # of equal rank the older stands first, and any new one has a greater order
            grant["expiring"],
        )
        for order, grant in enumerate(row["grants"])
    ]
    for window in row["windows"]:
        whole = window["scope"] == ACCOUNT_SCOPE
        scope, scope_id = (None, None) if whole else (window["scope"], window["scope_id"])
        account.windows[scope, scope_id, window["window"]] = pico(window["spent"])
    budgets = tuple(None if window["budget"] is None else pico(window["budget"]) for window in row["windows"])
    credit = None if row["credit"] is None else pico(row["credit"])
    account.shown = (row["mode"], row["status"], row["reason"], credit, budgets)
    account.alarms = {alarm["alarm"]: Open(alarm["alert_id"], _ms(alarm["since"])) for alarm in row["alarms"]}
    account.burn = {_ms(burn["begins_at"]) // BUCKET_MS: pico(burn["charged"]) for burn in row["burn"]}
    account.positions = {one["partition"]: (one["first_offset"], one["line"]) for one in row["positions"]}
    for entry in row["entries"]:
        account.counted[entry["entry_id"]] = Counted(
            entry["digest"],
            entry["kind"],
            pico(entry["amount"]),
            entry["reference"],
            _ms(entry["at"]),
            entry["voided"],
        )
        if entry["reference"]:
            account.references[entry["kind"], entry["reference"]] = entry["entry_id"]
    return account
