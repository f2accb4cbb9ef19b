"""The figures of simulated lines, given their tokens: calls, errors, kinds of tokens, times and money.

A call is 6 400 tokens in the mean, about 400 of them output, as published; the rest is plausible. Cost is the list
price of every token, charge 5.5 % more, both exact in pico-dollars.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from tokenmeter.events.lines import CONTEXT_BUCKET_NAMES
from tokenmeter.stack.simulate.facts import Offer
from tokenmeter.stack.simulate.shares import Real, Whole

BUCKET_SHARES = (0.03, 0.42, 0.43, 0.118, 0.002)
"""Of all tokens, by range of a call's input tokens."""
BUCKET_TOKENS = (640, 4_470, 27_700, 202_000, 1_150_000)
"""Of a call in that range."""
OUTPUT_SHARE = 0.0625
OPERATIONS = {"CHAT": 0.93, "RESPONSE": 0.05, "COMPLETION": 0.012, "EMBEDDING": 0.006, "IMAGE": 0.002}
MARKUP_THOUSANDTHS = 55
"""The router's margin over its cost: 5.5 %."""
LATENCY_MS, TOKENS_PER_S = 900.0, 70.0


def figures(tokens: Whole, offer: Whole, offers: Sequence[Offer], chance: np.random.Generator) -> pl.DataFrame:
    """A row of figures for each line."""
    count = len(tokens)
    bucket = _pick(BUCKET_SHARES, chance.random(count))
    calls = np.maximum(np.rint(tokens / (np.array(BUCKET_TOKENS)[bucket] * _stray(chance, 0.15, count))), 1)
    calls = calls.astype(np.int64)
    output = _part(tokens, OUTPUT_SHARE * _stray(chance, 0.3, count))
    given = tokens - output
    cached = _part(given, np.minimum(0.45 * _stray(chance, 0.4, count), 0.9))
    errors = _part(calls, np.minimum(0.015 * _stray(chance, 0.6, count), 0.2))
    answered = calls - errors
    slowness = np.exp(np.random.default_rng(len(offers)).normal(0, 0.3, len(offers)))[offer]
    tool_calls = _part(calls, 0.42 * _stray(chance, 0.3, count))
    operation = _pick(tuple(OPERATIONS.values()), chance.random(count))
    prices = {
        name: np.array([getattr(one, f"{name}_price_pico") for one in offers])[offer]
        for name in ("input", "output", "cached")
    }
    cost = (given - cached) * prices["input"] + cached * prices["cached"] + output * prices["output"]
    charge = cost + cost // 1_000 * MARKUP_THOUSANDTHS + cost % 1_000 * MARKUP_THOUSANDTHS // 1_000
    generated = _part(output, 1 - errors / calls)
    made: dict[str, Whole | pl.Series] = {
        "operation": pl.Series(list(OPERATIONS)).gather(operation),
        "context_bucket": pl.Series(CONTEXT_BUCKET_NAMES).gather(bucket),
        "events": calls,
        "errors": errors,
        "rate_limited": _part(errors, 0.4 * _stray(chance, 0.2, count)),
        "streamed": _part(calls, np.minimum(0.8 * _stray(chance, 0.05, count), 1)),
        "cancelled": _part(calls, 0.02 * _stray(chance, 0.2, count)),
        "byok": _part(calls, 0.05 * _stray(chance, 0.2, count)),
        "latency_calls": answered,
        "latency_sum_ms": (answered * (LATENCY_MS * slowness * _stray(chance, 0.1, count))).astype(np.int64),
        "generation_calls": answered,
        "generation_sum_ms": (generated * (1_000 / TOKENS_PER_S * slowness * _stray(chance, 0.1, count))).astype(
            np.int64
        ),
        "generation_tokens": generated,
        "input_tokens": given,
        "cached_input_tokens": cached,
        "cache_write_tokens": _part(given - cached, 0.05 * _stray(chance, 0.2, count)),
        "input_image_tokens": _part(given, 0.012 * _stray(chance, 0.5, count)),
        "output_tokens": output,
        "reasoning_tokens": _part(output, np.minimum(0.35 * _stray(chance, 0.3, count), 0.9)),
        "images_in": _part(calls, 0.03 * _stray(chance, 0.3, count)),
        "tool_calls": tool_calls,
        "tool_call_errors": _part(tool_calls, 0.02 * _stray(chance, 0.3, count)),
        "web_searches": _part(calls, 0.01 * _stray(chance, 0.3, count)),
        "charge": money(charge),
        "cost": money(cost),
    }
    return pl.DataFrame(made)


def money(pico: Whole) -> pl.Series:
    """Pico-dollars as decimals of twelve places, exactly."""
    words = np.stack([pico, np.where(pico < 0, -1, 0)], axis=1).astype("<i8")
    array = pa.Decimal128Array.from_buffers(pa.decimal128(38, 12), len(pico), [None, pa.py_buffer(words.tobytes())])
    return pl.Series(pl.from_arrow(array))


def _stray(chance: np.random.Generator, spread: float, count: int) -> Real:
    return np.exp(chance.normal(0, spread, count))


def _part(whole: Whole, share: Real) -> Whole:
    return np.asarray((whole * share).astype(np.int64))


def _pick(shares: Sequence[float], drawn: Real) -> Whole:
    """An index for each draw, as likely as its share."""
    return np.minimum(np.searchsorted(np.cumsum(shares) / sum(shares), drawn, "right"), len(shares) - 1)
