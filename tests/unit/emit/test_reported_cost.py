"""The upstream's own figure is rounded half to even at 12 decimals, by every entrance: the shared case O02.

The fault: one price that was computed in binary floating point, 0.30000000000000004, refuses the hundred events of its
request.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenmeter.emit.gateway.intake import take
from tokenmeter.emit.replay.traces import read
from tokenmeter.emit.usage import normalise
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.wire import encode

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
AT_US = int(AT.timestamp() * 1_000_000)
ROW: dict[str, Any] = {"event_id": "e", "occurred_at": AT, "customer_id": "c", "model": "m", "provider": "p"}
ROUNDED = {
    "0.30000000000000004": "0.300000000000",
    "0.0000000000005": "0.000000000000",
    "0.0000000000015": "0.000000000002",
    "0.0000000000025": "0.000000000002",
    "-0.0000000000015": "-0.000000000002",
    "1e-13": "0.000000000000",
    "1.5": "1.500000000000",
    "3": "3",
    "123456789.1234567890125": "123456789.123456789012",
    "123456789.1234567890126": "123456789.123456789013",
    "999999999999.9999999999994": "999999999999.999999999999",
}


@pytest.mark.parametrize(("told", "kept"), ROUNDED.items())
def test_it_is_the_same_by_every_entrance(told: str, kept: str, tmp_path: Path) -> None:
    expected = Decimal(kept)
    sdk = UsageEvent(**ROW, reported_cost=Decimal(told))
    document = json.dumps({**ROW, "occurred_at": AT.isoformat()})[:-1] + f', "reported_cost": {told}}}'
    gateway = take(document.encode(), False, AT_US)
    lines = take(document.encode(), True, AT_US)
    quoted = take(document.replace(told, f'"{told}"').encode(), False, AT_US)
    trace = tmp_path / "calls.jsonl"
    trace.write_text(document)
    replayed = list(read(trace, AT))
    for event in (sdk, *gateway.events, *lines.events, *quoted.events):
        assert event.reported_cost == expected, event
    assert gateway.faults == lines.faults == quoted.faults == ()
    assert replayed[0].reported_cost == expected
    assert decode(encode("usage_event", sdk.to_record())).record["reported_cost"] == expected


@pytest.mark.parametrize("told", [0.30000000000000004, 1e-13, 0.1, 2.5e-12])
def test_a_float_is_what_it_is_written_as(told: float) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost": told}
    read_back = normalise("openrouter", {"model": "m", "usage": usage}).reported_cost
    assert (
        UsageEvent(**ROW, reported_cost=told).reported_cost
        == read_back
        == Decimal(str(told)).quantize(Decimal("1e-12"))
    )


def test_a_hundred_events_are_taken_although_one_was_computed_in_floats() -> None:
    rows = [{**ROW, "event_id": f"e-{number}", "occurred_at": AT.isoformat()} for number in range(100)]
    rows[41]["reported_cost"] = 0.1 + 0.2
    taken = take(json.dumps(rows).encode(), False, AT_US)
    assert taken.faults == () and len(taken.events) == 100
    assert taken.events[41].reported_cost == Decimal("0.3")


@pytest.mark.parametrize("told", ["nan", "inf", "much", "1e30", True, [1]])
def test_what_is_no_amount_of_money_is_refused_by_name(told: Any) -> None:
    with pytest.raises((ValidationError, ValueError), match="reported_cost"):
        UsageEvent(**ROW, reported_cost=told)
