"""The quick way and the careful way of reading events say the same, and the quick encoder writes what fastavro writes.

The fault: a request is read one way alone and another way beside a bad neighbour, so that a retry of the same event is
another event, and counts as a conflict.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.texts import ODD_TEXTS
from tokenmeter.emit.event_encoder import encoded
from tokenmeter.emit.gateway import intake
from tokenmeter.emit.gateway.intake import DEFAULTS, take
from tokenmeter.events import UsageEvent, accept
from tokenmeter.events.contract import COUNT_FIELDS, QUANTITY_FIELDS
from tokenmeter.events.models import Kind, Operation
from tokenmeter.events.wire import encode

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1e6)
TEXT = st.text(max_size=8) | st.sampled_from(ODD_TEXTS)
NAME = st.text(min_size=1, max_size=8)
TIME = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 26)).map(lambda at: at.replace(tzinfo=UTC).isoformat())
ODD_TIMES = st.sampled_from(["2026-11-20T10:00:00.1234567Z", "2026-11-20 10:00:00+02:00", 1795000000, "1795000000.5"])
COUNT = st.sampled_from([0, 1, 127, 128, 10**6, 10**12]) | st.integers(-3, 50) | st.sampled_from(["12", 3.0, None])
COST = st.sampled_from(["0.1", 0.1, 3, "1e-13", 0.30000000000000004, "-2.5", "123456789.1234567890125"])
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("input_tokens", "output_tokens", "tool_calls"), COUNT),
    **{name: st.integers(-1, 3) for name in QUANTITY_FIELDS if name not in ("input_tokens", "output_tokens")},
    **{name: st.integers(-(2**31), 2**31) for name in accept.INT_FIELDS},
    **dict.fromkeys(("project_id", "api_key_id", "end_user_id", "variant", "finish_reason"), TEXT),
    "kind": st.sampled_from([kind.value for kind in Kind]),
    "operation": st.sampled_from([*(one.value for one in Operation), "SING"]),
    "corrects": st.none() | NAME,
    "calls": st.integers(-2, 2),
    "streamed": st.booleans() | st.just("true"),
    "tags": st.lists(TEXT, max_size=3),
    "source": TEXT,
    "sequence": st.none() | st.integers(0, 2**63 - 1),
    "started_at": st.none() | TIME,
    "reported_cost": COST,
    "context_bucket": st.none() | st.sampled_from(["<1k", "nonsense"]),
    "nonsense": st.just(1),
}
REQUIRED = {"event_id": NAME, "occurred_at": TIME | ODD_TIMES, "customer_id": NAME, "model": NAME, "provider": NAME}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(OPTIONAL)), max_size=5, unique=True))
    return {name: draw(kind) for name, kind in {**REQUIRED, **{one: OPTIONAL[one] for one in chosen}}.items()}


def carefully(body: bytes) -> intake.Intake:
    """Each event by itself, as beside a bad neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "_at_once", lambda rows, document: None)
        return take(body, False, NOW_US)


def values(taken: intake.Intake) -> list[tuple[int, dict[str, Any]]]:
    return [(one.place, {**DEFAULTS, **one.record, "tags": tuple(one.record.get("tags", ()))}) for one in taken.taken]


@settings(max_examples=60, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=3), st.booleans())
def test_both_ways_take_and_refuse_the_same_events_for_the_same_fields(told: list[Any], escaped: bool) -> None:
    body = json.dumps(told, ensure_ascii=escaped).encode()
    quick, careful = take(body, False, NOW_US), carefully(body)
    assert values(quick) == values(careful)
    assert [one.encoded for one in quick.taken] == [one.encoded for one in careful.taken]
    assert {(one.index, one.field) for one in quick.faults} == {(one.index, one.field) for one in careful.faults}
    assert all(one.field for one in quick.faults), quick.faults


@settings(max_examples=60, deadline=None)
@given(rows())
def test_the_quick_encoder_writes_what_fastavro_writes(told: dict[str, Any]) -> None:
    for one in take(json.dumps(told).encode(), False, NOW_US).taken:
        record = UsageEvent.model_validate({**DEFAULTS, **one.record}).to_record()
        stamped = one.encoded.stamped(record["source"], record["sequence"])
        assert stamped == encode("usage_event", record)
        assert encoded(record).stamped("s", 2**63 - 1) == encode(
            "usage_event", {**record, "source": "s", "sequence": 2**63 - 1}
        )


def test_a_quick_way_that_loses_digits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the digits of a price beyond a float's are looked at by nobody."""
    body = b'[{"event_id":"e","occurred_at":"2026-11-26T11:00:00Z","customer_id":"c","model":"m","provider":"p",'
    body += b'"reported_cost":123456789.1234567890125}]'
    assert values(take(body, False, NOW_US)) == values(carefully(body))
    monkeypatch.setattr(intake, "needs_care", lambda row: False)
    assert values(take(body, False, NOW_US)) != values(carefully(body))


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("late", {"occurred_at": NOW - timedelta(days=36)}, "occurred_at"),
    ("early", {"occurred_at": NOW + timedelta(minutes=6)}, "occurred_at"),
    ("identity", {"model": "é" * 200}, "model"),
    ("range", {"reported_cost": Decimal(10**13)}, "reported_cost"),
    ("range", {"status": -(2**31)}, "status"),
    ("correction", {"calls": 1}, "calls"),
    ("correction", {"rating": "r"}, "rating"),
    ("correction", {"kind": "CORRECTION"}, "corrects"),
    ("correction", {"kind": "CORRECTION", "corrects": "e", "context_bucket": "x"}, "context_bucket"),
    ("breakdown", {"tool_call_errors": 1}, "tool_call_errors"),
    ("breakdown", {"input_tokens": 3, "cached_input_tokens": 2, "cache_write_tokens": 2}, "cached_input_tokens"),
    ("breakdown", {"input_tokens": 3, "input_audio_tokens": 2, "input_image_tokens": 2}, "input_audio_tokens"),
    ("breakdown", {"output_tokens": 3, "output_audio_tokens": 2, "output_image_tokens": 2}, "output_audio_tokens"),
    *(("negative", {name: -1}, name) for name in COUNT_FIELDS),
    *(("breakdown", {name: 1}, name) for name in ("reasoning_tokens", "cache_write_1h_tokens")),
]


@pytest.mark.parametrize(("reason", "change", "field"), BROKEN)
def test_a_broken_rule_names_the_field_to_blame(reason: str, change: dict[str, Any], field: str) -> None:
    made: dict[str, Any] = {"event_id": "e", "occurred_at": NOW, "customer_id": "c", "model": "m", "provider": "p"}
    body = json.dumps({**made, **change}, default=str).encode()
    for found in (take(body, False, NOW_US), carefully(body)):
        assert [(one.field, one.reason.startswith(reason)) for one in found.faults] == [(field, True)]


def test_every_reason_is_among_them() -> None:
    assert {reason for reason, _, _ in BROKEN} | {"too_large"} == set(accept.DETAILS)
