"""What the cache keeps of an account's state: no amounts, only when the answer changes by itself. Pure.

A million accounts must fit, so equal standings are one object, and most accounts have the same: ``CLEAR``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from math import inf
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader

from tokenmeter.events.catalog_row import AccountMode, AccountStatus, BudgetScope
from tokenmeter.events.contract import by_id
from tokenmeter.events.errors import Poison
from tokenmeter.events.ledger import Reason
from tokenmeter.events.wire import PREFIX_BYTES, schema_of

NEVER = 0.0
"""A time long past."""
_US_PER_S = 1e6
STOPPED: Mapping[str, str] = {
    AccountStatus.SUSPENDED.value: Reason.SUSPENDED.value,
    AccountStatus.CLOSED.value: Reason.CLOSED.value,
}
"""Why an account of this status may not call."""
_SHARED_MAX = 10_000

Part = tuple[str, str]
"""(scope, scope_id) of a budget for a part of an account."""


class Standing(NamedTuple):
    """Times are seconds since 1970, UTC; ``inf``: for ever.

    ``clear_until``: before it nothing of this account refuses anything. ``refused``: exhausted, expired or unpriced,
    whatever the time. ``runs_out_at``: then grants expire and nothing is left. ``budget_until``: a budget of the whole
    account refuses until then. ``parts``: until when the budget of a part refuses that part. ``stopped``: by status.
    """

    clear_until: float
    refused: str | None
    runs_out_at: float
    budget_until: float
    parts: tuple[tuple[Part, float], ...]
    stopped: str | None


CLEAR = Standing(inf, None, inf, NEVER, (), None)


@lru_cache(_SHARED_MAX)
def _shared(standing: Standing) -> Standing:
    return CLEAR if standing == CLEAR else standing


def standing_of(value: bytes) -> Standing:
    """The standing that a record of account.state tells. Raises Poison when it is none."""
    state = _read(value)
    credit = None if state["credit"] is None else _pico(state["credit"])
    balance = _pico(state["balance"])
    available = _available(state["mode"], balance, credit, _pico(state["granted"]))
    refused = None
    if available is not None and available <= 0:
        refused = Reason.EXPIRED.value if state["expired"] else Reason.EXHAUSTED.value
    elif state["reason"] == Reason.UNPRICED:
        refused = Reason.UNPRICED.value
    runs_out_at = inf if available is None else _runs_out_at(available, state["grants"])
    budget_until, parts = _budgets(state)
    stopped = STOPPED.get(state["status"])
    clear = refused is None and budget_until == NEVER and not parts and stopped is None
    return _shared(Standing(runs_out_at if clear else NEVER, refused, runs_out_at, budget_until, parts, stopped))


def _available(mode: str, balance: int, credit: int | None, granted: int) -> int | None:
    """What may be used yet; None: there is no limit. Of a prepaid account the credit has the grants in it."""
    if mode == AccountMode.PREPAID:
        return balance + (0 if credit is None else credit - granted)
    return None if credit is None else balance + credit


def _runs_out_at(available: int, grants: Iterable[Mapping[str, Any]]) -> float:
    """When expiring grants leave nothing available, if nothing else happens: their EXPIRY comes somewhat later."""
    expiring = [(grant["expires_at"], _pico(grant["remaining"])) for grant in grants if grant["expires_at"] is not None]
    for at_us, remaining in sorted(expiring):
        available -= remaining
        if available <= 0:
            return float(at_us / _US_PER_S)
    return inf


def _budgets(state: Mapping[str, Any]) -> tuple[float, tuple[tuple[Part, float], ...]]:
    """Until when budgets refuse: the whole account, and each part. A longer window outlasts a shorter one."""
    until = NEVER
    if state["reason"] == Reason.BUDGET:
        until = _time(state["refused_until"])
    parts: dict[Part, float] = {}
    for window in state["windows"]:
        if window["allowed"]:
            continue
        ends_at = _time(window["ends_at"])
        if window["scope"] == BudgetScope.ACCOUNT:
            until = max(until, ends_at)
        else:
            part = window["scope"], window["scope_id"]
            parts[part] = max(parts.get(part, NEVER), ends_at)
    return until, tuple(parts.items())


def _time(at_us: int | None) -> float:
    return inf if at_us is None else at_us / _US_PER_S


def _pico(amount: bytes) -> int:
    return int.from_bytes(amount, "big", signed=True)


def _read(value: bytes) -> Mapping[str, Any]:
    """The record with times and amounts as they are on the wire: a million of them are read at a start."""
    schema = schema_of(value)
    if schema.name != "account_state":
        raise Poison("schema", f"{schema.name} is no state of an account")
    body = io.BytesIO(value)
    body.seek(PREFIX_BYTES)
    try:
        record = schemaless_reader(body, _plain_schema(schema.id), None)
    except Exception as error:  # fastavro raises many kinds on damaged bytes; each is the value's own fault
        raise Poison("avro", f"account_state: {type(error).__name__}: {error}") from error
    assert isinstance(record, dict)
    return record


@cache
def _plain_schema(schema_id: int) -> Any:
    schema = by_id(schema_id)
    assert schema is not None
    return parse_schema(_without_logical_types(schema.document))


def _without_logical_types(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_logical_types(one) for one in document]
    if not isinstance(document, dict):
        return document
    dropped = {"logicalType", "precision", "scale"}
    return {name: _without_logical_types(one) for name, one in document.items() if name not in dropped}
