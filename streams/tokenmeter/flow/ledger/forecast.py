"""The burn rate of the last hour, and when the credit will be used up at it."""

from __future__ import annotations

from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.entry import BUCKET_MS

_HOUR_MS = 3_600_000
BUCKETS = _HOUR_MS // BUCKET_MS


def burn_pico(account: Account) -> int:
    """Charges of the hour before the account's present five minutes."""
    first = account.bucket - BUCKETS
    return sum(charged for bucket, charged in account.burn.items() if first <= bucket < account.bucket)


def forget(account: Account) -> None:
    """Drop what is older than an hour; called when the account's five minutes have passed."""
    account.burnt_avro = None
    first = account.bucket - BUCKETS
    for bucket in [bucket for bucket in account.burn if bucket < first]:
        del account.burn[bucket]


def is_due(available: int | None, burn: int, hours: int, was_due: bool) -> bool:
    """Whether the credit lasts at most ``hours`` at the rate of ``burn`` an hour.

    Once it is used up the forecast has come true and stays as it is: only new credit, or a slower hour, ends it.
    """
    if available is None:
        return False
    if available <= 0:
        return was_due
    return burn > 0 and available <= burn * hours


def exhausted_at_ms(account: Account, available: int, burn: int) -> int:
    """When the credit ends, reckoned from the beginning of the account's present five minutes."""
    return account.bucket * BUCKET_MS + max(available, 0) * _HOUR_MS // burn
