"""Entries as a person asks for them: amounts as decimals, in the account's own currency."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import AccountState, EntryKind, LedgerEntry
from tokenmeter.stack.credit.read import Placed

HELP = "tokenmeter credit --help"
_AMOUNT = re.compile(r"[+-]?\d{1,26}(?:\.\d{1,12})?")
_COPIED = ("scope", "scope_id", "occurred_day", "partition", "first_offset", "last_offset", "line", "level")
_COUNTS = ("calls", "errors", "input_tokens", "output_tokens", "unpriced")


def amount_of(text: str) -> Decimal:
    """``12.50``: at most 12 decimal places. Misconfigured when it is anything else, or nothing at all."""
    if not _AMOUNT.fullmatch(text) or not Decimal(text):
        raise Misconfigured(f"{text!r} is no amount: write it as 12.50, with at most 12 decimal places", hint=HELP)
    return Decimal(text)


def new_id(kind: EntryKind) -> str:
    """An id that nobody else makes."""
    return f"{kind.lower()}-{secrets.token_hex(8)}"


def entry(
    account_id: str, kind: EntryKind, entry_id: str, made_at: datetime, made_by: str, **fields: Any
) -> LedgerEntry:
    """An entry. Misconfigured says what the ledger would refuse."""
    try:
        return LedgerEntry(
            account_id=account_id, entry_id=entry_id, kind=kind, made_at=made_at, made_by=made_by, **fields
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise Misconfigured(f"{kind} of {account_id}: {where}{first['msg']}", hint=HELP) from error


def reversal(state: AccountState | None, journal: Iterable[Placed], account_id: str, entry_id: str) -> dict[str, Any]:
    """What a VOID of the account's entry ``entry_id`` says. Misconfigured when there is nothing to take back."""
    told: dict[str, Any] = {"voids": entry_id}
    # Of two with one id the first counted; the other was refused or is its repetition.
    original = next((one.entry for one in journal if one.entry.entry_id == entry_id), None)
    if original is not None and original.kind == EntryKind.CHARGE:
        copied = {name: getattr(original, name) for name in _COPIED}
        negated = {name: -getattr(original, name) for name in _COUNTS}
        provisional = original.provisional_amount
        return {
            **told,
            **copied,
            **negated,
            "amount": (original.amount or Decimal(0)).copy_negate(),  # exact: a minus sign would round to 28 digits
            "provisional_amount": None if provisional is None else provisional.copy_negate(),
            "currency": original.currency,
        }
    known = next((one for one in state.entries if one.entry_id == entry_id), None) if state is not None else None
    if state is None or known is None:
        raise Misconfigured(
            f"account {account_id} has no entry {entry_id} that the ledger remembers",
            hint=f"tokenmeter credit history {account_id}",
        )
    name = "billed_amount" if known.kind == EntryKind.INVOICE else "amount"
    return {**told, name: known.amount.copy_negate(), "currency": state.currency}
