"""Judges an account anew where not an entry but the catalog changed: another limit, other thresholds or budgets."""

from __future__ import annotations

from tokenmeter.events.ledger import Alert
from tokenmeter.flow.ledger import alarms
from tokenmeter.flow.ledger import lines as lines_of
from tokenmeter.flow.ledger.account import Account
from tokenmeter.flow.ledger.alert import Cause
from tokenmeter.flow.ledger.state import budget_of
from tokenmeter.flow.ledger.terms import LedgerRules, Terms


def reconsider(account: Account, terms: Terms, rules: LedgerRules, at_ms: int, row_id: str) -> list[Alert]:
    """Judge every line of ``account`` by new ``terms``; ``row_id`` names the row that changed them, at ``at_ms``.

    For the account no time passes by this: that is for its own entries to say.
    """
    account.judged_by = terms
    cause = Cause(row_id, at_ms)
    credit = [*lines_of.credit_lines(account, terms, cause), lines_of.forecast_line(account, terms, rules, cause)]
    told = alarms.settle(account, credit, cause, lines_of.CREDIT)
    for key in list(account.windows):
        amount = budget_of(terms, key)
        found = [] if amount is None else lines_of.budget_lines(account, terms, key, amount, cause)
        told += alarms.settle(account, found, cause, lines_of.budget_prefix(key), lines_of.subject_of(account, key))
    return told
