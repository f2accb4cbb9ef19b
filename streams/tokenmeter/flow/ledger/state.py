"""An account as a record of account.state: all that it remembers, and what others ask of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.events.ledger import Reason
from tokenmeter.flow.ledger import avro
from tokenmeter.flow.ledger.account import Account, Grant, WindowKey
from tokenmeter.flow.ledger.entry import BUCKET_MS
from tokenmeter.flow.ledger.standing import credit_pico, used_pico, verdict
from tokenmeter.flow.ledger.terms import LedgerRules, Terms, TermsBook
from tokenmeter.flow.ledger.windows import ends_at_ms, key_of

ACCOUNT_SCOPE = "ACCOUNT"
_PREFIX = wire.prefix(latest("account_state"))
_ZERO = avro.decimal(0)


def encode(accounts: Iterable[Account], book: TermsBook, rules: LedgerRules, next_offset: int) -> list[bytes]:
    """The values of account.state for ``accounts``, in their order.

    Field by field, in the schema's order. Most of a record stays what it was a page ago and is kept in its own bytes;
    laying 31 columns out for the rest was measured slower, 13 against 8 us an account.
    """
    offset = avro.number(next_offset)
    return [_value(account, book.terms(account.account_id), rules, offset) for account in accounts]


def _value(account: Account, terms: Terms, rules: LedgerRules, next_offset: bytes) -> bytes:
    reason, until_ms = verdict(account, terms, rules)
    money, number = avro.decimal, avro.number
    balance, overdraft, granted = account.balance_pico, account.overdraft_pico, account.granted_pico
    invoiced, paid = account.invoiced_pico, account.paid_pico
    billed_unpaid = invoiced - paid if invoiced > paid else 0
    credit, provisional = credit_pico(account, terms), account.provisional_pico
    if account.named_avro is None:
        account.named_avro = _PREFIX + avro.text(account.account_id) + avro.text(account.currency)
    forgotten_ms = account.forgotten_until_ms
    return b"".join(
        (
            account.named_avro,
            number(account.version),
            avro.time_ms(account.as_of_ms),
            next_offset,
            _verdict(terms.mode, terms.status, reason, until_ms),
            money(balance),
            money(overdraft) if overdraft else _ZERO,
            money(granted),
            avro.NULL if credit is None else avro.PRESENT + money(credit),
            money(used_pico(account, terms)),
            money(overdraft - billed_unpaid) if overdraft != billed_unpaid else _ZERO,
            money(billed_unpaid) if billed_unpaid else _ZERO,
            money(invoiced) if invoiced else _ZERO,
            money(paid) if paid else _ZERO,
            money(account.charged_pico),
            money(provisional) if provisional else _ZERO,
            number(account.calls),
            number(account.unpriced),
            avro.boolean(account.expired),
            _grants(account) if account.grants else avro.EMPTY,
            _windows(account, terms) if account.windows else avro.EMPTY,
            _alarms(account) if account.alarms else avro.EMPTY,
            _burn(account),
            _positions(account),
            _entries(account) if account.counted else avro.EMPTY,
            avro.NULL if forgotten_ms is None else avro.PRESENT + avro.time_ms(forgotten_ms),
        )
    )


@lru_cache(4_096)
def _verdict(mode: str, status: str, reason: Reason, until_ms: int | None) -> bytes:
    """mode, status, allowed, reason and refused_until, which stand together."""
    allowed = avro.boolean(reason is Reason.OK)
    return avro.text(mode) + avro.text(status) + allowed + avro.text(reason) + _time_or_null(until_ms)


def shown(account: Account, terms: Terms, rules: LedgerRules) -> tuple[object, ...]:
    """What of the record depends on the catalog."""
    reason, _ = verdict(account, terms, rules)
    budgets = tuple(budget_of(terms, key) for key in account.windows)
    return terms.mode, terms.status, str(reason), credit_pico(account, terms), budgets


def _time_or_null(at_ms: int | None) -> bytes:
    return avro.NULL if at_ms is None else avro.PRESENT + avro.time_ms(at_ms)


def _grants(account: Account) -> bytes:
    return avro.array([_grant(grant) for grant in account.grants])


def _grant(grant: Grant) -> bytes:
    """What of a grant stays as it is is kept, until it does not."""
    key = grant.amount_pico, grant.expiring
    if grant.avro is None or grant.avro[0] != key:
        head = avro.text(grant.grant_id) + avro.decimal(grant.amount_pico)
        tail = avro.number(grant.priority) + _time_or_null(grant.expires_at_ms)
        grant.avro = key, head, tail + avro.boolean(grant.promotional) + avro.boolean(grant.expiring)
    _, head, tail = grant.avro
    return head + avro.decimal(grant.remaining_pico) + tail


@lru_cache(100_000)
def _window_head(account_id: str, key: WindowKey) -> bytes:
    """What of a window never changes."""
    scope, scope_id, window = key
    head = avro.text(scope or ACCOUNT_SCOPE) + avro.text(account_id if scope_id is None else scope_id)
    return head + avro.text(window) + _time_or_null(ends_at_ms(window))


def _windows(account: Account, terms: Terms) -> bytes:
    items = []
    for key, spent in account.windows.items():
        budget = budget_of(terms, key)
        items.append(
            _window_head(account.account_id, key)
            + avro.decimal(spent)
            + (avro.NULL if budget is None else avro.PRESENT + avro.decimal(budget))
            + avro.boolean(budget is None or spent < budget)
        )
    return avro.array(items)


def budget_of(terms: Terms, key: WindowKey) -> int | None:
    """The budget that a window belongs to; None: there is none any more."""
    scope, scope_id, window = key
    for budget in terms.budgets.get((scope, scope_id), ()):
        if _kind_of(budget.window) == _shape(window):
            return budget.amount_pico
    return None


@lru_cache(16)
def _kind_of(window: str) -> tuple[int, bool]:
    return _shape(key_of(window, 0))


def _shape(window: str) -> tuple[int, bool]:
    """What tells days, weeks, months and lifetimes apart."""
    return len(window), "W" in window


def _alarms(account: Account) -> bytes:
    return avro.array(
        [
            avro.text(key) + avro.text(alarm.alert_id) + avro.time_ms(alarm.since_ms)
            for key, alarm in account.alarms.items()
        ]
    )


def _burn(account: Account) -> bytes:
    burn, present = account.burn, account.bucket
    if account.burnt_avro is None:
        account.burnt_avro = b"".join(_burnt(bucket, charged) for bucket, charged in burn.items() if bucket != present)
    if not burn:
        return avro.EMPTY
    last = _burnt(present, burn[present]) if present in burn else b""
    return avro.number(len(burn)) + account.burnt_avro + last + avro.EMPTY


def _burnt(bucket: int, charged: int) -> bytes:
    return avro.time_ms(bucket * BUCKET_MS) + avro.decimal(charged)


def _positions(account: Account) -> bytes:
    return avro.array(
        [
            avro.number(partition) + avro.number(first_offset) + avro.number(line)
            for partition, (first_offset, line) in account.positions.items()
        ]
    )


def _entries(account: Account) -> bytes:
    if account.counted_avro is None:
        account.counted_avro = avro.array(
            [
                avro.text(entry_id)
                + avro.text(counted.digest)
                + avro.text(counted.kind)
                + avro.decimal(counted.amount_pico)
                + (avro.NULL if counted.reference is None else avro.PRESENT + avro.text(counted.reference))
                + avro.boolean(counted.voided)
                + avro.time_ms(counted.at_ms)
                for entry_id, counted in account.counted.items()
            ]
        )
    return account.counted_avro
