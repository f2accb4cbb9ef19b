"""Time passes: at the first entry of every five minutes, before it is booked."""

from __future__ import annotations

from tokenmeter.events.catalog_row import BudgetWindow
from tokenmeter.events.contract import DAY_MS
from tokenmeter.events.ledger import Alert
from tokenmeter.flow.ledger import alarms, drawdown, forecast
from tokenmeter.flow.ledger import lines as lines_of
from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.alert import Cause
from tokenmeter.flow.ledger.entry import BUCKET_MS
from tokenmeter.flow.ledger.remember import forget_entries, forget_windows
from tokenmeter.flow.ledger.terms import LedgerRules, Terms
from tokenmeter.flow.ledger.windows import key_of


def roll(account: Account, terms: Terms, rules: LedgerRules, bucket: int) -> list[Alert]:
    """Let time pass to the five minutes ``bucket``: what has ended is forgotten, the forecast is made anew."""
    if bucket <= account.bucket:
        return []
    before, account.bucket = account.bucket, bucket
    if not before:
        return []
    at_ms = bucket * BUCKET_MS
    cause = Cause(f"bucket/{bucket}", at_ms)
    forecast.forget(account)
    lines = [lines_of.forecast_line(account, terms, rules, cause)]
    prefix = None
    if at_ms // DAY_MS != before * BUCKET_MS // DAY_MS:
        forget_windows(account, at_ms)
        forget_entries(account, at_ms)
        month, last_month = (key_of(BudgetWindow.MONTH, ms // DAY_MS) for ms in (at_ms, before * BUCKET_MS))
        if month != last_month:
            drawdown.retire(account)
            lines += lines_of.credit_lines(account, terms, cause)
            prefix = lines_of.CREDIT
    return alarms.settle(account, lines, cause, prefix)
