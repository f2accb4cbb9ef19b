"""Traces: exact sums, the same ids on every replay, and a plain error for a line that cannot be read."""

from __future__ import annotations

import json
import math
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.events import event
from tokenmeter.emit import Emitter
from tokenmeter.emit.replay import generated as synthetic
from tokenmeter.emit.replay.traces import read
from tokenmeter.events.errors import BufferFull, Misconfigured, Undelivered

DATA = Path(__file__).parents[5] / "shared" / "data"
START = datetime(2026, 11, 1, tzinfo=UTC)
AZURE, MOONCAKE = "azure_llm_2023_code.csv", "mooncake_conversation.jsonl"


def trace(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the trace {path} is not on this machine; it is others' data and not part of the repository")
    return path


@pytest.mark.parametrize(
    ("name", "calls", "tokens_in", "tokens_out", "cached"),
    [(AZURE, 8_819, 18_059_974, 245_896, 0), (MOONCAKE, 12_031, 144_793_823, 4_122_048, 54_098_411)],
)
def test_a_trace_has_exactly_the_published_sums(
    name: str, calls: int, tokens_in: int, tokens_out: int, cached: int
) -> None:
    events = list(read(trace(name), START))
    assert len({e.event_id for e in events}) == len(events) == calls
    assert sum(e.input_tokens for e in events) == tokens_in
    assert sum(e.output_tokens for e in events) == tokens_out
    assert sum(e.cached_input_tokens for e in events) == cached
    assert min(e.occurred_at for e in events) == START
    assert events[:100] == list(read(trace(name), START))[:100]


def test_generated_calls_have_the_traces_shape() -> None:
    with trace(MOONCAKE).open() as lines:
        calls = [json.loads(line) for line in lines]
    logs = [math.log(call["input_length"]) for call in calls]
    mean, deviation = synthetic.CHAT.input_log
    assert abs(mean - statistics.mean(logs)) < 0.05
    assert abs(deviation - statistics.pstdev(logs)) < 0.05
    made = list(synthetic.calls(500, START, timedelta(hours=1)))
    assert made == list(synthetic.calls(500, START, timedelta(hours=1)))
    assert len({e.event_id for e in made}) == 500


def test_an_unreadable_line_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "calls.csv"
    bad.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\nnonsense\n")
    with pytest.raises(Misconfigured, match=r"calls\.csv line 3 cannot be read as azure: 1 columns"):
        list(read(bad, START))
    left_out: list[Misconfigured] = []
    assert len(list(read(bad, START, on_bad=left_out.append))) == 1
    assert len(left_out) == 1


def test_a_full_buffer_raises_and_flush_says_how_many_did_not_arrive() -> None:
    emitter = Emitter("127.0.0.1:1", buffer_events=2, on_full="raise", client_config={"log_level": 0})
    emitter.emit(event(1))
    emitter.emit(event(2))
    with pytest.raises(BufferFull):
        emitter.emit(event(3))
    with pytest.raises(Undelivered, match=r"2 of 2 events did not reach usage\.events") as caught:
        emitter.flush(0.1)
    assert caught.value.count == 2
