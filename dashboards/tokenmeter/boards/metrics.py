"""What the charts' figures are, each defined once. Names of columns are those of the views."""

from __future__ import annotations

from typing import Any

UPTIME_CALLS_MIN = 20
"""With fewer calls uptime is null: one failure of three says nothing."""


def total(column: str, label: str) -> dict[str, Any]:
    """The metric SUM(column), exact."""
    return {
        "expressionType": "SIMPLE",
        "column": {"column_name": column},
        "aggregate": "SUM",
        "label": label,
        "optionName": f"sum_{column}",
    }


def formula(sql: str, label: str) -> dict[str, Any]:
    """A metric in SQL."""
    return {
        "expressionType": "SQL",
        "sqlExpression": sql,
        "label": label,
        "optionName": label.lower().replace(" ", "_"),
    }


def readable(metric: dict[str, Any]) -> dict[str, Any]:
    """``metric``, a count, as people read it: ``1.20T``.

    Superset's page makes a BigInt of every whole number above 2^53, floats too, and its tables draw nothing then. Of
    text it makes nothing. The leading spaces, which a page does not show, keep the order right when somebody clicks on
    the heading: of k under M under T.
    """
    simple = metric["expressionType"] == "SIMPLE"
    sql = f"sum({metric['column']['column_name']})" if simple else metric["sqlExpression"]
    size = f"arrayCount(limit -> abs(n) >= limit, {_SIZES})"
    digits = f"if({size} = 0, toDecimalString(n, 0), toDecimalString(n / pow(1000, {size}), 2))"
    text = f"concat(repeat(' ', 1 + {size}), {digits}, {_UNITS}[1 + {size}])"
    return formula(f"arrayMap(n -> {text}, [{sql}])[1]", metric["label"])


def labelled(metric: dict[str, Any], what: str) -> dict[str, Any]:
    """The same figure in another column."""
    label = f"{metric['label']}, {what}"
    return {**metric, "label": label, "optionName": label.lower().replace(", ", "_").replace(" ", "_")}


_UNITS, _SIZES = "['', 'k', 'M', 'B', 'T']", "[999.5, 999995, 999995000, 999995000000]"
"""From which number on which unit: what two decimals round to 1000 of one unit is 1 of the next."""


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
MILLIONS = formula("sum(tokens) / 1000000", "Tokens, millions")
"""Of which there are never 2^53, so that a page can compare them."""
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
