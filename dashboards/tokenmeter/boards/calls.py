"""The board "Calls": how calls end by provider and model, how fast and how long they are, how fresh all figures are."""

from __future__ import annotations

from typing import Any

from tokenmeter.boards import metrics as m
from tokenmeter.boards.board import Board, Filter, Tab, TimeFilter
from tokenmeter.boards.forms import (
    COUNT_FORMAT,
    PERCENT_FORMAT,
    TOKENS_FORMAT,
    over_time,
    table,
    tile,
)
from tokenmeter.boards.pipeline import PIPELINE
from tokenmeter.boards.ranges import WEEK

HOURS = ("hour", WEEK)
MS = ",d"

OUTCOME = (
    tile("outcome-calls", "Calls", "Model calls, every attempt.", "hours", m.CALLS, TOKENS_FORMAT, time=HOURS),
    tile(
        "error-rate",
        "Error rate",
        "Calls that ended with status 400 or above or an error class, rate limited ones (429) among them.",
        "hours",
        m.ERROR_RATE,
        ".2%",
        time=HOURS,
    ),
    tile("rate-limited", "429 share", "Calls refused with 429.", "hours", m.RATE_LIMITED_SHARE, ".2%", time=HOURS),
    tile(
        "uptime",
        "Uptime",
        f"Calls that did not fail, of all but the rate limited (429); nothing under {m.UPTIME_CALLS_MIN} calls.",
        "hours",
        m.UPTIME,
        ".2%",
        time=HOURS,
    ),
    over_time(
        "calls-by-minute",
        "Calls per minute",
        "Calls, failed calls and rate limited calls (429) by UTC minute of their end, two days; quiet minutes are 0.",
        "calls_by_minute",
        (m.CALLS, m.ERRORS, m.RATE_LIMITED),
        "minute",
        kind="line",
        fill=("1min", "zerofill"),
        width=12,
    ),
    over_time(
        "uptime-by-provider",
        "Uptime by provider",
        f"Uptime by UTC hour, a gap under {m.UPTIME_CALLS_MIN} calls: the nine providers with most calls.",
        "hours",
        (m.UPTIME,),
        "hour",
        by="provider",
        time=HOURS,
        kind="line",
        top=9,
        number_format=PERCENT_FORMAT,
        fill=("1h", "asfreq"),
        at_most=1,
        others=False,
        rank_by=m.CALLS,
    ),
    over_time(
        "errors-by-provider",
        "Failed calls by provider",
        "Calls that failed, rate limited ones among them, by UTC hour: the nine largest providers, then Others.",
        "hours",
        (m.ERRORS,),
        "hour",
        by="provider",
        time=HOURS,
        top=9,
        stack=True,
    ),
    table(
        "endpoints",
        "Providers and models",
        "Calls by provider and model: errors, 429, uptime, mean time to first token, output tokens per second.",
        "hours",
        ("provider", "model"),
        (
            (m.CALLS, COUNT_FORMAT),
            (m.ERROR_RATE, ".2%"),
            (m.RATE_LIMITED_SHARE, ".2%"),
            (m.UPTIME, ".2%"),
            (m.LATENCY_MEAN, MS),
            (m.THROUGHPUT, ",.1f"),
        ),
        time=HOURS,
        rows=2_000,
        width=12,
        bars=False,
    ),
)


_LATENCY = tuple(m.percentile("latency", percent, f"p{percent}") for percent in (50, 90, 99))
_SPEED = tuple(m.percentile("throughput", percent, f"p{percent}") for percent in (50, 90, 99))
_TTFT = "time to first token in ms"
SPEED = (
    over_time(
        "latency-by-hour",
        "Time to first token (ms)",
        "Median, 90th and 99th percentile of single calls by UTC hour; hours without calls are gaps.",
        "calls_by_hour",
        _LATENCY,
        "hour",
        time=HOURS,
        kind="line",
        number_format=MS,
        fill=("1h", "asfreq"),
    ),
    over_time(
        "throughput-by-hour",
        "Throughput (tokens per second)",
        "Output tokens per second from first to last token, percentiles of single calls by UTC hour.",
        "calls_by_hour",
        _SPEED,
        "hour",
        time=HOURS,
        kind="line",
        number_format=",.0f",
        fill=("1h", "asfreq"),
    ),
    over_time(
        "latency-by-provider",
        "Mean time to first token by provider (ms)",
        "Sum of times to first token over calls that have one, by UTC hour: the nine providers with most calls.",
        "hours",
        (m.LATENCY_MEAN,),
        "hour",
        by="provider",
        time=HOURS,
        kind="line",
        top=9,
        number_format=MS,
        fill=("1h", "asfreq"),
        others=False,
        rank_by=m.CALLS,
        width=12,
    ),
    table(
        "speed-table",
        "Speed by provider and model",
        f"Percentiles of single calls: {_TTFT}, and output tokens per second.",
        "calls_by_hour",
        ("provider", "model"),
        (
            (m.CALLS, COUNT_FORMAT),
            *((m.percentile("latency", p, f"First token p{p} (ms)"), MS) for p in (50, 90, 99)),
            *((m.percentile("throughput", p, f"Tokens per second p{p}"), ",.0f") for p in (50, 90, 99)),
        ),
        time=HOURS,
        rows=2_000,
        width=12,
        bars=False,
    ),
)


def _lengths(what: str, prefix: str = "") -> tuple[dict[str, Any], ...]:
    mean, median = f"{prefix} mean".strip().capitalize(), f"{prefix} median".strip().capitalize()
    return m.ratio(f"{what}_tokens", "calls", mean), m.percentile(what, 50, median)


SHAPE = (
    over_time(
        "prompt-length",
        "Prompt length (tokens)",
        "Input tokens of single calls by UTC hour: mean and median.",
        "calls_by_hour",
        _lengths("input"),
        "hour",
        time=HOURS,
        kind="line",
        fill=("1h", "asfreq"),
    ),
    over_time(
        "completion-length",
        "Completion length (tokens)",
        "Output tokens of single calls by UTC hour: mean and median.",
        "calls_by_hour",
        _lengths("output"),
        "hour",
        time=HOURS,
        kind="line",
        fill=("1h", "asfreq"),
    ),
    over_time(
        "flags",
        "Streamed, cancelled, own key",
        "Shares of all calls by UTC hour: answered as a stream, ended by the caller, paid by the customer's own key.",
        "hours",
        (
            m.ratio("streamed", "calls", "Streamed"),
            m.ratio("cancelled", "calls", "Cancelled"),
            m.ratio("byok", "calls", "Own key (BYOK)"),
        ),
        "hour",
        time=HOURS,
        kind="line",
        number_format=PERCENT_FORMAT,
        fill=("1h", "asfreq"),
    ),
    table(
        "length-table",
        "Length by model",
        "Tokens of single calls, mean and median.",
        "calls_by_hour",
        ("model",),
        (
            (m.CALLS, COUNT_FORMAT),
            *((one, COUNT_FORMAT) for one in (*_lengths("input", "prompt"), *_lengths("output", "completion"))),
        ),
        time=HOURS,
        bars=False,
    ),
)

CALLS = Board(
    slug="tokenmeter-calls",
    title="Calls",
    tabs=(Tab("Outcome", OUTCOME), Tab("Speed", SPEED), Tab("Length and kind", SHAPE), Tab("Pipeline", PIPELINE)),
    # Names to choose from are those of the last 1 440 hours: asked of all hours, they kept the board waiting for 10 s.
    filters=(
        TimeFilter("Time range", WEEK),
        Filter("Model", "recent_models", "model"),
        Filter("Author", "recent_models", "author"),
        Filter("Provider", "recent_models", "provider"),
        Filter("App", "recent_apps", "app"),
    ),
    refresh_s=30,
)
