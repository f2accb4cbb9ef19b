"""Alerts as records: ids that are made of what they tell, figures, and a sentence for people."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.entry import Entry

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Cause:
    """What made the difference: an entry, the time that passed, or a new row of the catalog."""

    name: str
    at_ms: int
    place: tuple[str, int, int, int] | None = None
    entry_id: str | None = None


def caused_by(entry: Entry) -> Cause:
    """The cause that an entry is."""
    return Cause(entry.entry_id, entry.at_ms, entry.cause(), entry.entry_id)


def time_of(at_ms: int) -> datetime:
    """Milliseconds since 1970 as a time."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def money(amount_pico: int) -> Decimal:
    """Exact for any number of digits: made from text, which no decimal context rounds."""
    return Decimal(f"{amount_pico}E-12")


def plain(amount_pico: int) -> str:
    """An amount for people: every digit that is not a trailing zero."""
    text = f"{money(amount_pico):f}"
    return text.rstrip("0").rstrip(".")


def alert_id(account_id: str, key: str, cause: str) -> str:
    """The same account, line and cause have the same id, however often they are told."""
    return hashlib.blake2b("\x00".join((account_id, key, cause)).encode(), digest_size=16).hexdigest()


def alert(
    account: Account,
    cause: Cause,
    key: str,
    kind: str,
    state: AlertState,
    severity: AlertSeverity,
    sentence: str,
    *,
    subject: tuple[str, str] | None = None,
    expected: int | None = None,
    seen: int | None = None,
    **more: Any,
) -> Alert:
    """An alert of ``account``; ``subject`` (kind, id) is the account itself if None, figures are pico-units."""
    topic, partition, first_offset, last_offset = cause.place or (None, None, None, None)
    subject_kind, subject_id = subject or ("account", account.account_id)
    return Alert(
        alert_id=alert_id(account.account_id, key, cause.name),
        account_id=account.account_id,
        subject_kind=subject_kind,
        subject_id=subject_id,
        kind=kind,
        state=state,
        severity=severity,
        expected=None if expected is None else money(expected),
        seen=None if seen is None else money(seen),
        amount=None if seen is None else money(seen),
        currency=account.currency,
        topic=topic,
        partition=partition,
        first_offset=first_offset,
        last_offset=last_offset,
        entry_id=cause.entry_id,
        broker_at=time_of(cause.at_ms),
        **{"since": time_of(cause.at_ms), **more},
        sentence=sentence,
    )
