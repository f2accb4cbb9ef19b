"""Accounts and plans as a person writes them, on the command line or in a row of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError

from tokenmeter.events.catalog import Account, Plan
from tokenmeter.events.catalog_row import COST_BOOK, LIST_BOOK, CatalogRow, PlanBase
from tokenmeter.events.rating import PPM
from tokenmeter.stack.prices.terms import amount_of, time_of, yes

Made = TypeVar("Made", bound=CatalogRow)
ACCOUNT_COLUMNS: tuple[str, ...] = (
    "account",
    "parent",
    "plan",
    "currency",
    "mode",
    "limit",
    "thresholds",
    "terms_days",
    "white_label",
    "status",
    "from",
    "note",
)
NONE = "none"
"""What a person writes to take a value away."""
BUY = "buy"
_PERCENT = re.compile(r"^([+-]?)(\d+(?:\.\d+)?)\s*%$")


def account_of(told: Mapping[str, str | None], effective_from: datetime, before: Account | None = None) -> Account:
    """The account that columns say; what they do not say stays as ``before`` had it. ValueError says what is wrong."""
    given = {name: text.strip() for name, text in told.items() if text is not None and text.strip()}
    if "account" not in given:
        raise ValueError("account is missing")
    fields: dict[str, Any] = _kept(before) | {"account_id": given["account"], "effective_from": effective_from}
    for column, name in (("parent", "parent_id"), ("note", "note")):
        if column in given:
            fields[name] = None if given[column] == NONE else given[column]
    if "plan" in given:
        fields["plan_id"] = given["plan"]
    if "currency" in given:
        fields["currency"] = given["currency"].upper()
    for column in ("mode", "status"):
        if column in given:
            fields[column] = given[column].upper()
    if "limit" in given:
        fields["credit_limit"] = None if given["limit"] == NONE else amount_of(given["limit"], "limit")
    if "thresholds" in given:
        fields["thresholds_percent"] = _thresholds(given["thresholds"])
    if "terms_days" in given:
        fields["payment_terms_days"] = given["terms_days"]
    if "white_label" in given:
        fields["white_label"] = yes(given, "white_label")
    if "from" in given:
        fields["effective_from"] = time_of(given["from"])
    return _made(Account, fields)


def plan_of(told: Mapping[str, str | None], effective_from: datetime, before: Plan | None = None) -> Plan:
    """The plan that flags say; what they do not say stays as ``before`` had it. ValueError says what is wrong."""
    given = {name: text.strip() for name, text in told.items() if text is not None and text.strip()}
    fields: dict[str, Any] = _kept(before) | {"plan_id": given["plan"], "effective_from": effective_from}
    if "base" in given or before is None:
        base = given.get("base", LIST_BOOK)
        fields["base"] = PlanBase.BUY if base == BUY else PlanBase.BOOK
        fields["base_book"] = None if base == BUY else base
    if "margin" in given:
        fields["margin_ppm"] = ppm(given["margin"])
    if "byok_fee" in given:
        fields["byok_fee_ppm"] = ppm(given["byok_fee"])
    for column in ("override_book", "currency", "note"):
        if column in given:
            fields[column] = None if given[column] == NONE else given[column]
    return _made(Plan, fields)


def ppm(text: str) -> int:
    """Parts per million of ``+5.5%``. ValueError when it is no percentage, or finer than a part per million."""
    found = _PERCENT.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no percentage: write it as +5.5% or -30%")
    parts = Decimal(found[2]) * (PPM // 100)
    if parts != parts.to_integral_value():
        raise ValueError(f"{text} is finer than a part per million (0.0001%)")
    return int(parts) * (-1 if found[1] == "-" else 1)


def percent(parts: int) -> str:
    """``+5.5%``: what ``ppm`` reads."""
    text = f"{Decimal(parts).scaleb(-4):f}"
    return f"{'+' if parts >= 0 else ''}{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def base_shown(plan: Plan) -> str:
    """``list +5.5%``: a plan's base and margin."""
    base = BUY if plan.base == PlanBase.BUY else plan.base_book or COST_BOOK
    return f"{base} {percent(plan.margin_ppm)}" if plan.margin_ppm else base


def _thresholds(text: str) -> tuple[int, ...]:
    if text == NONE:
        return ()
    parts = [part.strip().removesuffix("%") for part in text.replace(";", ",").split(",")]
    if not all(part.isdigit() for part in parts):
        raise ValueError(f"thresholds {text!r}: write percentages as 50,80,100")
    return tuple(sorted({int(part) for part in parts}))


def _kept(before: CatalogRow | None) -> dict[str, Any]:
    return {} if before is None else {n: v for n, v in before.__dict__.items() if n not in ("row_id", "note")}


def _made(model: type[Made], fields: Mapping[str, Any]) -> Made:
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise ValueError(f"{where}{first['msg']}") from error
