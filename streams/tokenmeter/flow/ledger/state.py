"""An account as a record of account.state: all that it remembers, and what others ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import polars as pl

from tokenmeter.events.contract import latest
from tokenmeter.events.ledger import Reason
from tokenmeter.flow import columnar_avro
from tokenmeter.flow.ledger import avro
from tokenmeter.flow.ledger.account import Account, WindowKey
from tokenmeter.flow.ledger.entry import BUCKET_MS
from tokenmeter.flow.ledger.standing import credit_pico, used_pico, verdict
from tokenmeter.flow.ledger.terms import LedgerRules, Terms, TermsBook
from tokenmeter.flow.ledger.windows import ends_at_ms, key_of

ACCOUNT_SCOPE = "ACCOUNT"
FIELDS = latest("account_state").field_names
_DTYPES: dict[str, type[pl.DataType]] = {"long": pl.Int64, "string": pl.String, "boolean": pl.Boolean}


def _dtype(kind: object) -> type[pl.DataType]:
    inner = kind[1] if isinstance(kind, list) else kind
    if isinstance(inner, dict):
        return {"bytes": pl.Int128, "array": pl.Binary}.get(inner["type"], pl.Int64)
    return _DTYPES[str(inner)]


SCHEMA = {field["name"]: _dtype(field["type"]) for field in latest("account_state").document["fields"]}
"""Columns as ``columnar_avro`` takes them: times and amounts as whole numbers, arrays as their own bytes."""


def encode(accounts: Iterable[Account], book: TermsBook, rules: LedgerRules, next_offset: int) -> list[bytes]:
    """The values of account.state for ``accounts``, in their order."""
    rows = [_row(account, book.terms(account.account_id), rules, next_offset) for account in accounts]
    if not rows:
        return []
    columns = zip(SCHEMA.items(), zip(*rows, strict=True), strict=True)
    frame = pl.DataFrame([pl.Series(name, values, dtype) for (name, dtype), values in columns])
    return columnar_avro.encode("account_state", frame)


def _row(account: Account, terms: Terms, rules: LedgerRules, next_offset: int) -> Sequence[object]:
    """The record's fields, in their order."""
    reason, until_ms = verdict(account, terms, rules)
    billed_unpaid = max(0, account.invoiced_pico - account.paid_pico)
    return (
        account.account_id,
        account.currency,
        account.version,
        account.as_of_ms * 1_000,
        next_offset,
        terms.mode,
        terms.status,
        reason is Reason.OK,
        reason,
        None if until_ms is None else until_ms * 1_000,
        account.balance_pico,
        account.overdraft_pico,
        account.granted_pico,
        credit_pico(account, terms),
        used_pico(account, terms),
        account.overdraft_pico - billed_unpaid,
        billed_unpaid,
        account.invoiced_pico,
        account.paid_pico,
        account.charged_pico,
        account.provisional_pico,
        account.calls,
        account.unpriced,
        account.expired,
        _grants(account) if account.grants else avro.EMPTY,
        _windows(account, terms) if account.windows else avro.EMPTY,
        _alarms(account) if account.alarms else avro.EMPTY,
        _burn(account),
        _positions(account),
        _entries(account) if account.counted else avro.EMPTY,
        None if account.forgotten_until_ms is None else account.forgotten_until_ms * 1_000,
    )


def shown(account: Account, terms: Terms, rules: LedgerRules) -> tuple[object, ...]:
    """What of the record depends on the catalog."""
    reason, _ = verdict(account, terms, rules)
    budgets = tuple(budget_of(terms, key) for key in account.windows)
    return terms.mode, terms.status, str(reason), credit_pico(account, terms), budgets


def _time_or_null(at_ms: int | None) -> bytes:
    return avro.NULL if at_ms is None else avro.PRESENT + avro.time_ms(at_ms)


def _grants(account: Account) -> bytes:
    return avro.array(
        [
            avro.text(grant.grant_id)
            + avro.decimal(grant.amount_pico)
            + avro.decimal(grant.remaining_pico)
            + avro.number(grant.priority)
            + _time_or_null(grant.expires_at_ms)
            + avro.boolean(grant.promotional)
            + avro.boolean(grant.expiring)
            for grant in account.grants
        ]
    )


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
