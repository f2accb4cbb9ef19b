"""Whether an entry has counted already, and why one is refused."""

from __future__ import annotations

from tokenmeter.events.contract import DAY_MS
from tokenmeter.events.ledger import REMEMBERED_DAYS, EntryKind
from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.alert import plain
from tokenmeter.flow.ledger.entry import Entry

CLOCK_SKEW_MS = 300_000
"""How far a writer's clock may be from the broker's."""
_GRANTS = (EntryKind.GRANT, EntryKind.PAYMENT)


def has_counted(account: Account, entry: Entry) -> bool:
    """Whether this very entry has counted: a CHARGE by its position, another by its id and content."""
    if entry.kind == EntryKind.CHARGE:
        if entry.partition is None or entry.first_offset is None or entry.line is None:
            return False
        position = account.positions.get(entry.partition)
        return position is not None and (entry.first_offset, entry.line) <= position
    known = account.counted.get(entry.entry_id)
    return known is not None and known.digest == entry.digest()


def refusal(account: Account, entry: Entry) -> tuple[str, str] | None:
    """(kind of alert, why) an entry is not booked, or None."""
    fault = entry.fault()
    if fault is not None:
        return "invalid", fault
    if entry.currency != account.currency:
        return "conflict", f"it is in {entry.currency}, the account in {account.currency}"
    if entry.kind == EntryKind.CHARGE:
        return None
    if entry.entry_id in account.counted:
        return "conflict", "an entry with this id but other content has counted"
    if entry.made_at_ms > entry.at_ms + CLOCK_SKEW_MS:
        return "invalid", "it was made in the future"
    forgotten = account.forgotten_until_ms
    if entry.made_at_ms <= entry.at_ms - REMEMBERED_DAYS * DAY_MS or (
        forgotten is not None and entry.made_at_ms <= forgotten + CLOCK_SKEW_MS
    ):
        return "invalid", "it is so old that it may have counted and be forgotten"
    unique = unique_of(entry)
    other = account.references.get((entry.kind, unique)) if unique else None
    if other is not None:
        return "conflict", f"{unique} was used by entry {other}"
    if entry.kind == EntryKind.VOID:
        return _void_refusal(account, entry)
    if entry.kind == EntryKind.EXPIRY:
        assert entry.grant_id is not None
        granted = account.counted.get(entry.grant_id)
        is_left = any(grant.grant_id == entry.grant_id for grant in account.grants)
        is_known = is_left or (granted is not None and granted.kind in _GRANTS and not granted.voided)
        return None if is_known else ("conflict", f"there is no grant {entry.grant_id}")
    return None


def _void_refusal(account: Account, entry: Entry) -> tuple[str, str] | None:
    assert entry.voids is not None
    if entry.of_usage:
        return None  # charges are remembered by position alone; whoever takes one back copies it from the log
    known = account.counted.get(entry.voids)
    if known is None:
        return "conflict", f"no entry {entry.voids} is remembered"
    if known.kind == EntryKind.VOID:
        return "conflict", "a VOID cannot be taken back"
    if (EntryKind.EXPIRY, entry.voids) in account.references:
        return "conflict", "the grant has expired: take back its EXPIRY first"
    is_invoice = known.kind == EntryKind.INVOICE
    if is_invoice != (entry.billed_pico is not None) or known.amount_pico != -entry.worth_pico:
        return "conflict", f"it takes back {plain(-entry.worth_pico)} of an entry of {plain(known.amount_pico)}"
    return None


def unique_of(entry: Entry) -> str | None:
    """What no two entries of one kind may share."""
    if entry.kind == EntryKind.VOID:
        return entry.voids
    return entry.grant_id if entry.kind == EntryKind.EXPIRY else entry.reference
