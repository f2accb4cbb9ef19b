"""Whether the sum of some charges may be booked at once: when no line is crossed by it, none was by its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tokenmeter.flow.ledger.account import Account, WindowKey
from tokenmeter.flow.ledger.lines import UNPRICED, budget_prefix, credit_key
from tokenmeter.flow.ledger.standing import available_pico, credit_pico, is_over, used_pico
from tokenmeter.flow.ledger.terms import Terms
from tokenmeter.flow.ledger.windows import key_of


class Sum(NamedTuple):
    """Charges of one account, five minutes, partition, scope and day; ``amount_pico`` <= 0. The last of them came at
    ``at_ms`` and stands at (``first_offset``, ``line``)."""

    account_id: str
    bucket: int
    currency: str
    partition: int
    scope: str | None
    scope_id: str | None
    day: int
    amount_pico: int
    provisional_pico: int
    calls: int
    unpriced: int
    entries: int
    at_ms: int
    first_offset: int
    line: int


def fits(account: Account, terms: Terms, rows: Sequence[Sum]) -> bool:
    """Whether all ``rows`` together cross no line of the account. Where terms have changed, nothing may be skipped."""
    if account.judged_by is not terms:
        return False
    spent = 0
    for row in rows:
        if row.currency != account.currency or (row.unpriced and UNPRICED not in account.alarms):
            return False
        if row.scope is None:
            spent -= row.amount_pico
    return not _crosses_credit(account, terms, spent) and not (terms.budgets and _crosses_budget(account, terms, rows))


def _crosses_credit(account: Account, terms: Terms, spent: int) -> bool:
    credit, available = credit_pico(account, terms), available_pico(account, terms)
    if credit is None or available is None:
        return False
    used = used_pico(account, terms) + spent  # of a postpaid account with grants more than it will be: that is safe
    for percent in terms.thresholds_percent:
        if credit_key(percent) not in account.alarms:
            return is_over(percent, used, credit, available - spent)  # ascending: the others are over later
    return False


def _crosses_budget(account: Account, terms: Terms, rows: Sequence[Sum]) -> bool:
    spent: dict[WindowKey, int] = {}
    for row in rows:
        for budget in terms.budgets.get((row.scope, row.scope_id), ()):
            key = (row.scope, row.scope_id, key_of(budget.window, row.day))
            spent[key] = spent.get(key, account.windows.get(key, 0)) - row.amount_pico
            prefix = budget_prefix(key)
            for percent in terms.thresholds_percent:
                if f"{prefix}{percent}" not in account.alarms:
                    if spent[key] * 100 >= percent * budget.amount_pico:
                        return True
                    break
    return False
