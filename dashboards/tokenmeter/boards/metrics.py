"""What the charts' figures are, each defined once. Names of columns are those of the views."""

from __future__ import annotations

from typing import Any

UPTIME_CALLS_MIN = 20
"""With fewer calls uptime is null: one failure of three says nothing."""


def total(column: str, label: str) -> dict[str, Any]:
    """The metric SUM(column), exact. Above 2^53 Superset's page makes a BigInt of it: tiles show it, tables break, and
    take ``rounded`` instead."""
    return {
        "expressionType": "SIMPLE",
        "column": {"column_name": column},
        "aggregate": "SUM",
        "label": label,
        "optionName": f"sum_{column}",
    }


def rounded(column: str, label: str) -> dict[str, Any]:
    """SUM(column) for a table that shows three digits and a unit (9.01P): a number beyond 2^53 is the nearest one that
    JavaScript has, instead of a BigInt, on which Superset's tables fail."""
    return formula(f"toFloat64(sum({column}))", label)


def formula(sql: str, label: str) -> dict[str, Any]:
    """A metric in SQL."""
    return {
        "expressionType": "SQL",
        "sqlExpression": sql,
        "label": label,
        "optionName": label.lower().replace(" ", "_"),
    }


def ratio(part: str, whole: str, label: str) -> dict[str, Any]:
    """SUM(part) / SUM(whole), null where there is nothing to divide by."""
    return formula(f"sum({part}) / nullIf(sum({whole}), 0)", label)


def share(column: str, label: str) -> dict[str, Any]:
    """Each group's part of SUM(column) over all groups, also those that a row limit cuts off."""
    return formula(f"sum({column}) / nullIf(sum(sum({column})) OVER (), 0)", label)


def change(column: str, before: str) -> dict[str, Any]:
    """How much more SUM(column) is than SUM(before), as a part of it; null for what is new."""
    return formula(f"sum({column}) / nullIf(sum({before}), 0) - 1", "Change")


_STATES = {
    "latency": ("latency_states", "latency_calls"),
    "throughput": ("throughput_states", "generation_calls"),
    "input": ("input_states", "calls"),
    "output": ("output_states", "calls"),
}
"""Of what single calls have: the column with its quantiles, and how many calls are in them."""
_QUANTILES = (50, 90, 99)


def percentile(what: str, percent: int, label: str) -> dict[str, Any]:
    """A percentile of single calls by nearest rank, within 0.4 % of that call; null without a call."""
    states, calls = _STATES[what]
    merged = f"quantilesBFloat16Merge(0.5, 0.9, 0.99)({states})[{_QUANTILES.index(percent) + 1}]"
    return formula(f"if(sum({calls}) = 0, NULL, {merged})", label)


TOKENS = total("tokens", "Tokens")
TOKENS_SHOWN = rounded("tokens", "Tokens")
CALLS = total("calls", "Calls")
ERRORS = total("errors", "Errors")
RATE_LIMITED = total("rate_limited", "429")
ERROR_RATE = ratio("errors", "calls", "Error rate")
RATE_LIMITED_SHARE = ratio("rate_limited", "calls", "429 share")
UPTIME = formula(f"if(sum(ok) + sum(failed) < {UPTIME_CALLS_MIN}, NULL, sum(ok) / (sum(ok) + sum(failed)))", "Uptime")
CACHE_HIT = ratio("cached_input_tokens", "input_tokens", "Cache hit")
LATENCY_MEAN = ratio("latency_sum_ms", "latency_calls", "Time to first token, mean (ms)")
THROUGHPUT = formula("1000 * sum(generation_tokens) / nullIf(sum(generation_sum_ms), 0)", "Tokens per second")
TRENDING_SQL = "sum(tokens_week) - sum(tokens_three_weeks_before) / 3"
TRENDING = formula(TRENDING_SQL, "Tokens above the mean week")
PRICE_PER_MILLION = formula("1000000 * sum(charge) / nullIf(sum(tokens), 0)", "Price per million tokens")
