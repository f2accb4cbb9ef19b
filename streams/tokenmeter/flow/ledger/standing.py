"""Where an account stands: its credit, what is used of it, and whether it may call."""

from __future__ import annotations

from tokenmeter.events.contract import DAY_MS
from tokenmeter.events.ledger import Reason
from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.terms import LedgerRules, Terms
from tokenmeter.flow.ledger.windows import ends_at_ms, key_of


def credit_pico(account: Account, terms: Terms) -> int | None:
    """What thresholds are shares of. Prepaid: grants and payments (and what may be overdrawn); postpaid: the limit."""
    if terms.prepaid:
        return account.granted_pico + (terms.limit_pico or 0)
    return terms.limit_pico


def used_pico(account: Account, terms: Terms) -> int:
    """What is used of the credit. Postpaid: the exposure, unbilled and billed unpaid."""
    return account.granted_pico - account.balance_pico if terms.prepaid else account.overdraft_pico


def available_pico(account: Account, terms: Terms) -> int | None:
    """What may be used yet; None: there is no limit."""
    if terms.limit_pico is None:
        return account.balance_pico if terms.prepaid else None
    return account.balance_pico + terms.limit_pico


def is_over(percent: int, used: int, credit: int | None, available: int | None) -> bool:
    """Whether use is at or over a share of the credit. Of no credit at all every share is used up with it."""
    if credit is None:
        return False
    if credit <= 0:
        return available is not None and available <= 0
    return used * 100 >= percent * credit


def refusing_window(account: Account, terms: Terms) -> str | None:
    """The window of a budget for the whole account that is used up at the account's time, or None."""
    if not terms.budgets:
        return None
    day = account.as_of_ms // DAY_MS
    for budget in terms.budgets.get((None, None), ()):
        window = key_of(budget.window, day)
        if account.windows.get((None, None, window), 0) >= budget.amount_pico:
            return window
    return None


def verdict(account: Account, terms: Terms, rules: LedgerRules) -> tuple[Reason, int | None]:
    """Why the account may call or may not, and until when a refusal lasts by itself, if it ends by itself."""
    if terms.stopped is not None:
        return terms.stopped, None
    available = available_pico(account, terms)
    if available is not None and available <= 0:
        return (Reason.EXPIRED if account.expired else Reason.EXHAUSTED), None
    if terms.prepaid and rules.unpriced_calls_max is not None and account.unpriced > rules.unpriced_calls_max:
        return Reason.UNPRICED, None
    window = refusing_window(account, terms)
    if window is not None:
        return Reason.BUDGET, ends_at_ms(window)
    return Reason.OK, None
