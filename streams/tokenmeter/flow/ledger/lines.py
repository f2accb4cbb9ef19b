"""The lines of an account: shares of its credit and budgets, the forecast, calls without a price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.ledger import forecast
from tokenmeter.flow.ledger.account import Account, WindowKey
from tokenmeter.flow.ledger.alert import Cause, alert, plain, time_of
from tokenmeter.flow.ledger.standing import available_pico, credit_pico, is_over, used_pico
from tokenmeter.flow.ledger.terms import LedgerRules, Terms
from tokenmeter.flow.ledger.windows import ends_at_ms

CREDIT = "credit/"
FORECAST = "forecast"
UNPRICED = "unpriced"
_BUDGET = "budget/"
FULL_PERCENT = 100
WARNING_PERCENT = 80


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a subject: its key among the account's alarms, whether it is over, and the alert that says so."""

    key: str
    over: bool
    open: Callable[[], Alert]


@cache
def credit_key(percent: int) -> str:
    return f"{CREDIT}{percent}"


def budget_prefix(key: WindowKey) -> str:
    """What the keys of one window's alarms begin with; read back by ``window_of``."""
    scope, scope_id, window = key
    return f"{_BUDGET}{window}/{scope or 'ACCOUNT'}/{scope_id or ''}/"


def subject_of(account: Account, key: WindowKey) -> tuple[str, str]:
    """(kind, id) of whose window it is."""
    scope, scope_id, _ = key
    return ("account", account.account_id) if scope is None else (scope.lower(), scope_id or "")


def window_of(alarm: str) -> str | None:
    """The window of a budget's alarm, or None of another alarm."""
    return alarm.split("/", 2)[1] if alarm.startswith(_BUDGET) else None


def severity_of(percent: int) -> AlertSeverity:
    """Used up is critical, nearly used up a warning."""
    if percent >= FULL_PERCENT:
        return AlertSeverity.CRITICAL
    return AlertSeverity.WARNING if percent >= WARNING_PERCENT else AlertSeverity.INFO


def credit_lines(account: Account, terms: Terms, cause: Cause) -> list[Line]:
    """The thresholds of the account's credit."""
    credit, used, available = credit_pico(account, terms), used_pico(account, terms), available_pico(account, terms)

    def opened(percent: int) -> Alert:
        text = f"{account.account_id} has used {plain(used)} of {plain(credit or 0)} {account.currency}: {percent} %"
        severity = severity_of(percent)
        figures = {"expected": credit or 0, "seen": used}
        key = credit_key(percent)
        return alert(
            *(account, cause, key, "threshold", AlertState.OPEN, severity, text),
            **figures,  # type: ignore[arg-type]
            threshold_percent=percent,
        )

    return [
        Line(credit_key(percent), is_over(percent, used, credit, available), lambda percent=percent: opened(percent))  # type: ignore[misc]
        for percent in terms.thresholds_percent
    ]


def forecast_line(account: Account, terms: Terms, rules: LedgerRules, cause: Cause) -> Line:
    """Whether the credit will be used up within ``forecast_hours``."""
    available, burn = available_pico(account, terms), forecast.burn_pico(account)

    def opened() -> Alert:
        left = available or 0
        at = time_of(forecast.exhausted_at_ms(account, left, burn))
        text = (
            f"{account.account_id} has {plain(left)} {account.currency} left and used {plain(burn)} in the last hour: "
            f"at this rate it is used up at {at:%Y-%m-%d %H:%M} UTC"
        )
        return alert(
            *(account, cause, FORECAST, "forecast", AlertState.OPEN, AlertSeverity.WARNING, text),
            expected=left,
            seen=burn,
            projected_at=at,
        )

    due = forecast.is_due(available, burn, rules.forecast_hours, FORECAST in account.alarms)
    return Line(FORECAST, due, opened)


def unpriced_line(account: Account, cause: Cause) -> Line:
    """Whether calls wait for a price."""

    def opened() -> Alert:
        text = f"{account.account_id} has {account.unpriced} calls without a price: they are not charged yet"
        return alert(account, cause, UNPRICED, "unpriced", AlertState.OPEN, AlertSeverity.CRITICAL, text)

    return Line(UNPRICED, account.unpriced > 0, opened)


def budget_lines(account: Account, terms: Terms, key: WindowKey, amount_pico: int, cause: Cause) -> list[Line]:
    """The thresholds of one window of a budget."""
    scope, _, window = key
    spent, prefix, ends = account.windows.get(key, 0), budget_prefix(key), ends_at_ms(window)
    subject = subject_of(account, key)

    def opened(percent: int) -> Alert:
        text = (
            f"{' '.join(subject)}{'' if scope is None else f' of {account.account_id}'} has spent {plain(spent)} "
            f"of its budget of {plain(amount_pico)} {account.currency} for {window}: {percent} %"
        )
        return alert(
            *(account, cause, f"{prefix}{percent}", "threshold", AlertState.OPEN, severity_of(percent), text),
            subject=subject,
            expected=amount_pico,
            seen=spent,
            threshold_percent=percent,
            window=window,
            ends_at=None if ends is None else time_of(ends),
        )

    return [
        Line(f"{prefix}{percent}", spent * 100 >= percent * amount_pico, lambda percent=percent: opened(percent))  # type: ignore[misc]
        for percent in terms.thresholds_percent
    ]
