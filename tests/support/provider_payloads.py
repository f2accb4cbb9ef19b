"""Responses in the shape of each provider's public reference, and what they come to in our token classes.

A file each, in tests/unit/emit/usage/reference. The field names, nesting and which fields are there follow the page
that its ``source`` names; the figures are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[1] / "unit" / "emit" / "usage" / "reference"


@dataclass(frozen=True)
class Payload:
    """``expected`` names every field of Usage that is not at its default."""

    name: str
    provider: str
    source: str
    response: dict[str, Any] = field(repr=False)
    expected: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Stream:
    """The chunks of one streamed answer; ``so_far`` is what the first ``cut`` come to, None for no usage yet."""

    name: str
    provider: str
    source: str
    chunks: list[dict[str, Any]] = field(repr=False)
    expected: dict[str, Any] = field(repr=False)
    cut: int = 2
    so_far: dict[str, Any] | None = None


def _cases(kind: str) -> Iterator[dict[str, Any]]:
    for path in sorted(REFERENCE.glob("*.json")):
        case = json.loads(path.read_text("utf-8"))
        if case["kind"] == kind:
            yield case


def _usage(expected: dict[str, Any]) -> dict[str, Any]:
    """JSON has no decimals."""
    costs = {name: Decimal(value) for name, value in expected.items() if name == "reported_cost"}
    return {**expected, **costs}


def _response(case: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = case["payload"]
    if case["provider"] != "opentelemetry":
        return payload
    # A span keeps its sequences as tuples.
    return {name: tuple(value) if isinstance(value, list) else value for name, value in payload.items()}


PAYLOADS = tuple(
    Payload(case["name"], case["provider"], case["source"], _response(case), _usage(case["expected"]))
    for case in _cases("response")
)
STREAMS = tuple(
    Stream(
        case["name"],
        case["provider"],
        case["source"],
        case["payload"],
        _usage(case["expected"]),
        case["cut"],
        case["so_far"],
    )
    for case in _cases("stream")
)
