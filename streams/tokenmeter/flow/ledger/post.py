"""Books one entry on its account, and tells what changed. Time is the entry's own: the broker's."""

from __future__ import annotations

from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState, EntryKind
from tokenmeter.flow.ledger import alarms, drawdown
from tokenmeter.flow.ledger import lines as lines_of
from tokenmeter.flow.ledger.account import Account, Grant
from tokenmeter.flow.ledger.alert import alert, caused_by
from tokenmeter.flow.ledger.check import has_counted, refusal
from tokenmeter.flow.ledger.entry import BUCKET_MS, Entry
from tokenmeter.flow.ledger.remember import remember
from tokenmeter.flow.ledger.roll import roll
from tokenmeter.flow.ledger.standing import available_pico
from tokenmeter.flow.ledger.terms import LedgerRules, Terms
from tokenmeter.flow.ledger.windows import is_over, key_of


def post(account: Account, terms: Terms, rules: LedgerRules, entry: Entry) -> list[Alert]:
    """Book ``entry`` if it has not counted yet; returns the alerts of it, in their order."""
    account.judged_by = terms
    told = roll(account, terms, rules, entry.bucket)
    account.as_of_ms = max(account.as_of_ms, entry.at_ms)
    if has_counted(account, entry):
        return told
    reason = refusal(account, entry)
    if reason is not None:
        return [*told, _refused(account, entry, *reason)]
    before = available_pico(account, terms)
    account.version += 1
    _book(account, terms, entry)
    after = available_pico(account, terms)
    if after is None or after > 0:
        account.expired = False
    elif entry.kind == EntryKind.EXPIRY and before is not None and before > 0:
        account.expired = True
    return [*told, *_judge(account, terms, rules, entry)]


def _refused(account: Account, entry: Entry, kind: str, why: str) -> Alert:
    text = f"entry {entry.entry_id} of {account.account_id} is not booked: {why}"
    key = f"{kind}/{entry.entry_id}/{entry.digest()}"
    return alert(
        *(account, caused_by(entry), key, kind, AlertState.NOTICE, AlertSeverity.WARNING, text),
        subject=("entry", entry.entry_id),
        seen=entry.amount_pico,
    )


def _book(account: Account, terms: Terms, entry: Entry) -> None:
    delta = entry.delta_pico
    if entry.of_usage:
        _book_usage(account, terms, entry)
    match entry.kind:
        case EntryKind.GRANT | EntryKind.PAYMENT:
            terms_of = (entry.priority, entry.expires_at_ms, entry.promotional, account.version)
            drawdown.give(account, Grant(entry.entry_id, delta, delta, *terms_of))
        case EntryKind.ADJUSTMENT:
            _move(account, delta, entry.entry_id)
        case EntryKind.INVOICE:
            account.invoiced_pico += entry.worth_pico
        case EntryKind.EXPIRY:
            assert entry.grant_id is not None
            drawdown.take_back(account, entry.grant_id, -delta)
        case EntryKind.VOID if not entry.of_usage:
            _take_back(account, entry)
    if entry.kind == EntryKind.PAYMENT:
        account.paid_pico += delta
    if entry.kind != EntryKind.CHARGE:
        remember(account, entry)


def _book_usage(account: Account, terms: Terms, entry: Entry) -> None:
    """A CHARGE, or a VOID of one: of the account, or of a budget's part of it."""
    delta = entry.delta_pico
    if entry.kind == EntryKind.CHARGE:
        assert entry.partition is not None and entry.first_offset is not None and entry.line is not None
        account.positions[entry.partition] = (entry.first_offset, entry.line)
    if entry.scope is None:
        _move(account, delta, entry.entry_id)
        account.charged_pico -= delta
        account.provisional_pico -= entry.provisional_pico
        account.calls += entry.calls
        account.unpriced += entry.unpriced
        account.burn[account.bucket] = account.burn.get(account.bucket, 0) - delta
    assert entry.day is not None
    spend(account, terms, entry.scope, entry.scope_id, entry.day, -delta)


def spend(account: Account, terms: Terms, scope: str | None, scope_id: str | None, day: int, amount_pico: int) -> None:
    """Add to the windows of one scope's budgets, those that have not ended long ago."""
    for budget in terms.budgets.get((scope, scope_id), ()):
        window = key_of(budget.window, day)
        if not is_over(window, account.bucket * BUCKET_MS):
            key = (scope, scope_id, window)
            account.windows[key] = account.windows.get(key, 0) + amount_pico


def _move(account: Account, delta_pico: int, entry_id: str) -> None:
    if delta_pico < 0:
        drawdown.draw(account, -delta_pico)
    elif delta_pico:
        drawdown.give_back(account, delta_pico, entry_id)


def _take_back(account: Account, entry: Entry) -> None:
    """A VOID of anything but a CHARGE."""
    assert entry.voids is not None
    voided = account.counted[entry.voids]
    voided.voided = True
    match voided.kind:
        case EntryKind.GRANT | EntryKind.PAYMENT:
            drawdown.take_back(account, entry.voids, voided.amount_pico)
            account.paid_pico -= voided.amount_pico if voided.kind == EntryKind.PAYMENT else 0
        case EntryKind.ADJUSTMENT:
            _move(account, entry.delta_pico, entry.entry_id)
        case EntryKind.INVOICE:
            account.invoiced_pico -= voided.amount_pico
        case EntryKind.EXPIRY:
            drawdown.give(account, Grant(entry.entry_id, entry.delta_pico, entry.delta_pico, order=account.version))


def _judge(account: Account, terms: Terms, rules: LedgerRules, entry: Entry) -> list[Alert]:
    cause = caused_by(entry)
    told: list[Alert] = []
    if entry.scope is None:
        lines = lines_of.credit_lines(account, terms, cause)
        if entry.kind != EntryKind.CHARGE:
            lines.append(lines_of.forecast_line(account, terms, rules, cause))
        told += alarms.settle(account, lines, cause, lines_of.CREDIT)
        if entry.unpriced:
            told += alarms.settle(account, [lines_of.unpriced_line(account, cause)], cause)
    if entry.of_usage and entry.day is not None:
        for budget in terms.budgets.get((entry.scope, entry.scope_id), ()):
            key = (entry.scope, entry.scope_id, key_of(budget.window, entry.day))
            if key in account.windows:
                lines = lines_of.budget_lines(account, terms, key, budget.amount_pico, cause)
                told += alarms.settle(
                    account, lines, cause, lines_of.budget_prefix(key), lines_of.subject_of(account, key)
                )
    return told
