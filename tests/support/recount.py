"""Totals counted again: every row of every table of totals beside the sums of the rows it was made of."""

from __future__ import annotations

from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.events.contract import QUANTITY_FIELDS

_HOUR, _DAY = "toDateTime(occurred_hour, 'UTC')", "toDate(occurred_hour, 'UTC')"
_SUMS = ("events", "errors", *QUANTITY_FIELDS, "charge", "cost")
_MARKET = (*_SUMS, "rate_limited", "streamed", "cancelled", "byok", "unpriced", "uncosted")
_FEW = ("events", "errors", "input_tokens", "output_tokens", "tool_calls")
_SPEED = ("latency_calls", "latency_sum_ms", "generation_calls", "generation_sum_ms", "generation_tokens")
_GENERATES = "latency_ms >= 0 AND duration_ms > latency_ms"
_CALLS = {
    "calls": "count()",
    "errors": "countIf(status >= 400 OR error_class IS NOT NULL)",
    "rate_limited": "countIf(status = 429)",
    "streamed": "countIf(streamed)",
    "cancelled": "countIf(cancelled)",
    "input_tokens": "sum(input_tokens)",
    "output_tokens": "sum(output_tokens)",
    "latency_calls": "countIf(latency_ms >= 0)",
    "latency_sum_ms": "sum(if(latency_ms >= 0, latency_ms, 0))",
    "generation_calls": f"countIf({_GENERATES})",
    "generation_sum_ms": f"sum(if({_GENERATES}, duration_ms - latency_ms, 0))",
    "generation_tokens": f"sum(if({_GENERATES}, output_tokens, 0))",
    "byok": "countIf(byok)",
    "with_tools": "countIf(tool_calls > 0)",
    "finalizeAggregation(input_states)": "quantilesBFloat16(0.5, 0.9, 0.99)(input_tokens)",
    "finalizeAggregation(latency_states)": "quantilesBFloat16If(0.5, 0.9, 0.99)(latency_ms, latency_ms >= 0)",
}
_BILLED = {
    "unpriced": "sumIf(events, charge IS NULL)",
    "uncosted": "sumIf(events, cost IS NULL)",
    "provisional": "sumIf(events, provisional)",
    "reported_calls": "sum(reported_calls)",
    "reported_cost": "sum(reported_cost)",
}
_MONEY = {"currency": "currency", "cost_currency": "cost_currency"}


def _summed(*names: str) -> dict[str, str]:
    return {name: f"sum(l.{name})" for name in names}


RECOUNTS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "market_hourly": (
        "usage_market",
        {"occurred_hour": _HOUR, "model": "model", "provider": "provider", "variant": "variant", **_MONEY},
        _summed(*_MARKET, *_SPEED),
    ),
    "market_daily": (
        "usage_market",
        {"day": _DAY, "model": "model", "variant": "variant", **_MONEY},
        _summed(*_MARKET, *_SPEED),
    ),
    "app_daily": (
        "usage_market",
        {"day": _DAY, "app_id": "app_id", "model": "model", **_MONEY},
        _summed(*_MARKET, *_SPEED),
    ),
    "apps_by_day": ("usage_market", {"day": _DAY, "app_id": "app_id"}, _summed(*_FEW)),
    "contexts_by_day": (
        "usage_market",
        {"day": _DAY, **{n: n for n in ("context_bucket", "operation", "model")}},
        _summed(*_FEW),
    ),
    "billing_daily": (
        "usage_billing",
        {"day": _DAY, **{n: n for n in ("customer_id", "project_id", "api_key_id", "model")}, **_MONEY},
        {**_summed(*_SUMS), **_BILLED},
    ),
    "calls_by_minute": (
        "usage_events",
        {"minute": "toStartOfMinute(toDateTime(occurred_at, 'UTC'))", "model": "model", "provider": "provider"},
        _CALLS,
    ),
    "calls_by_hour": (
        "usage_events",
        {"hour": "toStartOfHour(toDateTime(occurred_at, 'UTC'))", "model": "model", "provider": "provider"},
        _CALLS,
    ),
}
"""Table of totals: (what it is made of, its keys, its measures); each as (here, there)."""


def _rows(client: Client, keys: list[str], measures: list[str], rest: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    # Both sides as text: types differ (a count is unsigned, a total is not), figures must not.
    texts = [f"toString({measure})" for measure in measures]
    found = client.query(f"SELECT {', '.join(keys)}, {', '.join(texts)} {rest}").result_rows
    return {tuple(row[: len(keys)]): tuple(row[len(keys) :]) for row in found}


def wrong_totals(client: Client) -> list[str]:
    """Which rows of totals differ from a recount, as text; and that there are any to compare."""
    wrong = []
    for table, (source, keys, measures) in RECOUNTS.items():
        where = "WHERE kind != 'CORRECTION'" if source == "usage_events" else ""
        by = ", ".join(str(number + 1) for number in range(len(keys)))
        recount = f"FROM tokenmeter.{source} AS l FINAL {where} GROUP BY {by}"
        wanted = _rows(client, list(keys.values()), list(measures.values()), recount)
        found = _rows(client, list(keys), list(measures), f"FROM tokenmeter.{table} FINAL")
        differing = [key for key in {*wanted, *found} if wanted.get(key) != found.get(key)]
        wrong += [f"{table} {key}: {found.get(key)} for {wanted.get(key)}" for key in differing]
        wrong += [f"{table}: nothing to compare"] if not wanted else []
    return wrong
