"""Generated calls for the default demo, shaped like two production traces: a coding service and a chat service.

The parameters were fitted to the traces that tests/unit/emit/replay/test_traces.py reads: log-normal lengths (mean and
standard deviation of the logarithm), and the mean share of a chat prompt that repeats an earlier prefix.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tokenmeter.emit.replay.catalogue import CHAT_MODELS, CODE_MODELS, attribute
from tokenmeter.events import UsageEvent

PREFIX_BLOCK_TOKENS = 512


@dataclass(frozen=True)
class Shape:
    """Log-normal token lengths: (mean, standard deviation) of ln(tokens), and how much of the input was cached."""

    input_log: tuple[float, float]
    output_log: tuple[float, float]
    cached_share: float


CODE = Shape(input_log=(7.00, 1.36), output_log=(2.79, 0.85), cached_share=0.0)
CHAT = Shape(input_log=(8.74, 1.20), output_log=(5.34, 1.36), cached_share=0.455)
CODE_SHARE = 0.42
ERROR_SHARE = 0.015
RATE_LIMIT_SHARE = 0.01
INPUT_TOKENS_MAX = 200_000


def calls(count: int, start: datetime, period: timedelta, seed: int = 1) -> Iterator[UsageEvent]:
    """``count`` calls from ``start`` on, Poisson arrivals over about ``period``; the same seed gives the same calls."""
    chance = random.Random(seed)
    at = start
    gap_s = period.total_seconds() / max(count, 1)
    for number in range(count):
        at += timedelta(seconds=chance.expovariate(1) * gap_s)
        code = chance.random() < CODE_SHARE
        yield _call(chance, f"synthetic-{seed}", number, at, CODE if code else CHAT, code)


def _call(chance: random.Random, source: str, number: int, at: datetime, shape: Shape, code: bool) -> UsageEvent:
    who = attribute(f"{source}:{number}", CODE_MODELS if code else CHAT_MODELS)
    draw = chance.random()
    status = 429 if draw < RATE_LIMIT_SHARE else 500 if draw < RATE_LIMIT_SHARE + ERROR_SHARE else 200
    tokens_in = min(INPUT_TOKENS_MAX, max(1, round(chance.lognormvariate(*shape.input_log)))) if status == 200 else 0
    tokens_out = max(1, round(chance.lognormvariate(*shape.output_log))) if status == 200 else 0
    blocks = tokens_in // PREFIX_BLOCK_TOKENS
    cached = min(tokens_in, round(blocks * min(1.0, chance.expovariate(1) * shape.cached_share)) * PREFIX_BLOCK_TOKENS)
    return UsageEvent(
        event_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        source=source,
        sequence=number,
        occurred_at=at,
        **vars(who),
        status=status,
        error_class={429: "rate_limited", 500: "upstream"}.get(status),
        streamed=chance.random() < 0.8,
        input_tokens=tokens_in,
        cached_input_tokens=cached,
        output_tokens=tokens_out,
        reasoning_tokens=int(tokens_out * chance.random() * 0.5) if not code else 0,
        tool_calls=int(chance.expovariate(1)) if code and status == 200 else 0,
        latency_ms=round(chance.lognormvariate(6.3, 0.6)),
        duration_ms=round(chance.lognormvariate(8.3, 0.8)),
    )
