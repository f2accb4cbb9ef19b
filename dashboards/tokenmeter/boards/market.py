"""The board "Market": who uses which model, how much, and at what price.

Tokens are input plus output by each provider's own count, days and weeks are UTC, weeks begin on Monday. What a chart
counts is said in its description. Money is never added across currencies.
"""

from __future__ import annotations

from tokenmeter.boards import metrics as m
from tokenmeter.boards.apps import APPS
from tokenmeter.boards.board import Board, Filter, Tab, TimeFilter
from tokenmeter.boards.chart import Chart
from tokenmeter.boards.events import MARKET_WEEKS
from tokenmeter.boards.forms import (
    COUNT_FORMAT,
    PERCENT_FORMAT,
    TOKENS_FORMAT,
    over_time,
    table,
    tile,
)
from tokenmeter.boards.money import MONEY
from tokenmeter.boards.ranges import DAYS, HISTORY, WEEKS

OVERVIEW = (
    tile("tokens", "Tokens", "Input and output tokens.", "models", m.TOKENS, TOKENS_FORMAT, time=DAYS),
    tile("calls", "Calls", "Model calls, every attempt.", "models", m.CALLS, TOKENS_FORMAT, time=DAYS),
    tile("models", "Models", "Models called.", "models", m.formula("uniqExact(model)", "Models"), ",d", time=DAYS),
    tile(
        "authors", "Authors", "Authors of them.", "models", m.formula("uniqExact(author)", "Authors"), ",d", time=DAYS
    ),
    over_time(
        "tokens-by-day",
        "Tokens per day by model",
        "Input and output tokens per UTC day: the nine largest models of the range, all others as Others.",
        "models",
        (m.TOKENS,),
        "day",
        by="model",
        time=DAYS,
        top=9,
        stack=True,
        width=12,
        height=52,
        annotations=MARKET_WEEKS.name,
    ),
    over_time(
        "tokens-by-author",
        "Tokens per day by author",
        "Input and output tokens per UTC day: the nine largest authors of the range, all others as Others.",
        "models",
        (m.TOKENS,),
        "day",
        by="author",
        time=DAYS,
        top=9,
        stack=True,
    ),
    over_time(
        "author-share",
        "Market share by author",
        "Share of each ISO week's tokens by author: the nine largest of the range, all others as Others.",
        "models",
        (m.TOKENS,),
        "week",
        by="author",
        time=WEEKS,
        kind="area",
        top=9,
        shares=True,
    ),
)


def _leaderboard(window: str, title: str, hours: int) -> Chart:
    tokens, before = f"tokens_{window}", f"tokens_{window}_before"
    return table(
        f"leaderboard-{window}",
        f"Models, {title}",
        f"Models by tokens of the last {hours} hours; share of all tokens, change on the {hours} hours before.",
        "recent_models",
        ("model",),
        (
            (m.rounded(tokens, "Tokens"), TOKENS_FORMAT),
            (m.share(tokens, "Share"), PERCENT_FORMAT),
            (m.change(tokens, before), "+.1%"),
        ),
        width=4,
        height=70,
        having=f"sum({tokens}) > 0",
    )


LEADERS = (
    _leaderboard("day", "day", 24),
    _leaderboard("week", "week", 168),
    _leaderboard("month", "30 days", 720),
    table(
        "leaderboard-authors",
        "Authors, week",
        "Authors by tokens of the last 168 hours; share of all tokens, change on the 168 before.",
        "recent_models",
        ("author",),
        (
            (m.rounded("tokens_week", "Tokens"), TOKENS_FORMAT),
            (m.share("tokens_week", "Share"), PERCENT_FORMAT),
            (m.change("tokens_week", "tokens_week_before"), "+.1%"),
        ),
        having="sum(tokens_week) > 0",
    ),
    table(
        "ranking-yesterday",
        "Ranking of yesterday",
        "The last full UTC day: 50 models by tokens, ties alphabetical, variants on their own, all others as other.",
        "rankings",
        ("model",),
        (
            (m.formula("min(rank)", "Rank"), COUNT_FORMAT),
            (m.TOKENS_SHOWN, TOKENS_FORMAT),
            (m.formula("max(share)", "Share"), PERCENT_FORMAT),
        ),
        ascending=True,
        bars=False,
        where_sql="day = toStartOfDay(now('UTC')) - INTERVAL 1 DAY",
    ),
)

WHO = (
    over_time(
        "origin-tokens",
        "Chinese, US and other models: tokens per week",
        "Tokens per ISO week by the country of the model's author.",
        "models",
        (m.TOKENS,),
        "week",
        by="origin",
        time=WEEKS,
        stack=True,
        annotations=MARKET_WEEKS.name,
    ),
    over_time(
        "origin-share",
        "Chinese, US and other models: share",
        "Share of each ISO week's tokens by the country of the model's author.",
        "models",
        (m.TOKENS,),
        "week",
        by="origin",
        time=WEEKS,
        kind="area",
        shares=True,
    ),
    over_time(
        "weights-tokens",
        "Open and closed weights: tokens per week",
        "Tokens per ISO week by whether the model's weights are published.",
        "models",
        (m.TOKENS,),
        "week",
        by="weights",
        time=WEEKS,
        stack=True,
    ),
    over_time(
        "weights-share",
        "Open and closed weights: share",
        "Share of each ISO week's tokens by whether the model's weights are published.",
        "models",
        (m.TOKENS,),
        "week",
        by="weights",
        time=WEEKS,
        kind="area",
        shares=True,
    ),
)

USE = (
    over_time(
        "contexts",
        "Input length of calls",
        "Share of each UTC day's calls by how many input tokens they have.",
        "contexts",
        (m.CALLS,),
        "day",
        by="context",
        time=DAYS,
        shares=True,
    ),
    over_time(
        "operations",
        "Kinds of calls",
        "Share of each UTC day's calls by operation.",
        "contexts",
        (m.CALLS,),
        "day",
        by="operation",
        time=DAYS,
        shares=True,
    ),
    over_time(
        "tool-share",
        "Calls that call a tool",
        "Calls with at least one tool call as a share of all calls, by UTC day; at most 126 days.",
        "calls_by_hour",
        (m.ratio("with_tools", "calls", "Calls with tools"),),
        "day",
        time=("hour", HISTORY),
        kind="line",
        number_format=PERCENT_FORMAT,
        fill=("1D", "asfreq"),
    ),
    over_time(
        "tool-calls",
        "Tool calls per call",
        "Tool calls over calls, by UTC day, and how many of them failed.",
        "models",
        (
            m.ratio("tool_calls", "calls", "Tool calls per call"),
            m.ratio("tool_call_errors", "tool_calls", "Failed share of tool calls"),
        ),
        "day",
        time=DAYS,
        kind="line",
        number_format=".2f",
        fill=("1D", "asfreq"),
    ),
    over_time(
        "cache-hit",
        "Cached and reasoning tokens",
        "Input tokens read from cache as a share of input; reasoning tokens as a share of output; by UTC day.",
        "models",
        (m.CACHE_HIT, m.ratio("reasoning_tokens", "output_tokens", "Reasoning share of output")),
        "day",
        time=DAYS,
        kind="line",
        number_format=PERCENT_FORMAT,
        fill=("1D", "asfreq"),
        width=12,
    ),
)

MARKET = Board(
    slug="tokenmeter-market",
    title="Market",
    tabs=(
        Tab("Overview", OVERVIEW),
        Tab("Leaderboards", LEADERS),
        Tab("Countries and weights", WHO),
        Tab("Apps", APPS),
        Tab("Use", USE),
        Tab("Money", MONEY),
    ),
    filters=(
        TimeFilter("Time range", HISTORY),
        Filter("Model", "models", "model"),
        Filter("Author", "models", "author"),
        Filter("Provider", "recent_models", "provider"),
        Filter("App", "app_days", "app"),
    ),
    layers=(MARKET_WEEKS,),
)
