"""A meter makes one event of each ended call, in the background or not, and never raises into its caller."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.sinks import Failing, Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.background import GATHERING_S, WAITING_MAX, Background
from tokenmeter.emit.integrations.call import Call, error_class, status_of
from tokenmeter.emit.integrations.ids import event_id
from tokenmeter.emit.model_names import event_model
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import Misconfigured, Poison
from tokenmeter.events.models import Operation

USAGE = {"usage": {"prompt_tokens": 3, "completion_tokens": 4}, "model": "m"}
ADVISED = {
    "model": "claude-1",
    "usage": {
        "input_tokens": 1,
        "output_tokens": 2,
        "iterations": [{"type": "advisor_message", "model": "claude-2", "input_tokens": 5, "output_tokens": 6}],
    },
}


def begin(meter: Meter, provider: str = "openai", **fields: Any) -> Call:
    return Call(meter, provider, Operation.CHAT, "asked", **fields)


class Slow(Kept):
    """Takes events when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.batches: list[int] = []

    def emit_many(self, events: Sequence[UsageEvent]) -> None:
        self.gate.wait(10)
        self.batches.append(len(events))
        super().emit_many(events)


@pytest.mark.parametrize("background", [True, False])
def test_every_call_is_one_event_in_order(background: bool) -> None:
    sink = Kept()
    with Meter(sink, background=background, customer_id="c") as meter:
        for number in range(2_000):
            begin(meter, request_id=str(number)).done(USAGE)
    assert [event.request_id for event in sink.events] == [str(number) for number in range(2_000)]
    assert (meter.stats.metered, meter.stats.lost, meter.stats.open, meter.stats.waiting) == (2_000, {}, 0, 0)


def test_many_threads_lose_nothing() -> None:
    sink = Kept()

    def calls(meter: Meter, name: str) -> None:
        for number in range(500):
            begin(meter, request_id=f"{name}-{number}").done(USAGE)

    with Meter(sink, customer_id="c") as meter:
        threads = [threading.Thread(target=calls, args=(meter, str(name))) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        meter.close(60)
    assert len({event.request_id for event in sink.events}) == len(sink.events) == 4_000


def test_a_caller_waits_for_no_sink_and_a_full_queue_loses_nothing() -> None:
    sink = Slow()
    meter = Meter(sink, customer_id="c")
    for _ in range(100):
        begin(meter).done(USAGE)
    time.sleep(2 * GATHERING_S)  # whatever the thread has taken by now, it is not done
    assert sink.events == [] and meter.stats.waiting >= 99
    sink.gate.set()
    meter.close()
    assert len(sink.events) == 100 and max(sink.batches) > 1

    background: Background[int] = Background(lambda items: sink.gate.wait(120) and None)
    sink.gate.clear()
    taken = [background.put(item) for item in range(WAITING_MAX + 10)]
    assert taken.count(False) > 0 and background.put(1, always=True), "a finalizer's item is never refused"
    sink.gate.set()
    assert background.close(120) == 0
    assert background.put(1) is False, "after close the caller does his own work"


def test_a_call_that_ends_after_the_meter_closed_is_emitted_by_its_caller() -> None:
    sink = Kept()
    meter = Meter(sink, customer_id="c")
    meter.close()
    begin(meter).done(USAGE)
    assert len(sink.events) == 1


def test_a_call_ends_once() -> None:
    sink = Kept()
    meter = Meter(sink, background=False, customer_id="c")
    call = begin(meter)
    call.done(USAGE)
    call.done(USAGE)
    call.cancel()
    call.failed(RuntimeError())
    call.ended()
    meter.close()
    assert len(sink.events) == 1 and not sink.events[0].cancelled


def test_a_call_inside_the_call_is_an_event_of_its_own() -> None:
    sink = Kept()
    begin(Meter(sink, background=False, customer_id="c"), "anthropic").done(ADVISED)
    outer, inner = sink.events
    assert (outer.model, outer.requested_model, inner.model) == ("anthropic/claude-1", "asked", "anthropic/claude-2")
    assert (
        inner.event_id == f"{outer.event_id}-1" and inner.input_tokens == 5 and inner.occurred_at == outer.occurred_at
    )


def test_a_router_is_not_who_served() -> None:
    sink = Kept()
    response = {**USAGE, "provider": "Amazon Bedrock", "model": "anthropic/claude"}
    begin(Meter(sink, background=False, customer_id="c"), "openrouter").done(response)
    assert (sink.only().provider, sink.only().router, sink.only().model) == (
        "bedrock",
        "openrouter",
        "anthropic/claude",
    )


def test_an_odd_figure_is_told_by_the_event_and_counted_by_its_field() -> None:
    sink = Kept()
    meter = Meter(sink, background=False, customer_id="c", tags=["mine"])
    odd = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 4, "prompt_tokens_details": {"cached_tokens": 9}}
    for usage in (odd, odd, {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}):
        begin(meter).done({"model": "m", "usage": usage})
    told = [set(event.tags) for event in sink.events]
    assert told == [{"mine", "usage_note:cached_input_tokens", "usage_note:usage.total_tokens"}] * 2 + [{"mine"}]
    assert meter.stats.noted == {"cached_input_tokens": 2, "usage.total_tokens": 2} and meter.stats.lost == {}


def test_what_is_billed_without_tokens_is_an_event_that_says_they_are_unknown() -> None:
    sink = Kept()
    meter = Meter(sink, background=False, customer_id="c")
    begin(meter).done({"created": 1, "data": [{"url": "u"}, {"url": "u"}]})
    event = sink.only()
    assert (event.images_out, event.error_class) == (2, None)
    assert event.tags == ("usage_note:input_tokens", "usage_note:output_tokens")
    assert meter.stats.noted == {"input_tokens": 1, "output_tokens": 1}


def test_an_answer_that_says_that_it_failed_is_an_event_with_its_error() -> None:
    sink = Kept()
    failed = {"object": "response", "id": "r", "model": "m", "status": "failed", "error": {"code": "server_error"}}
    begin(Meter(sink, background=False, customer_id="c")).done(failed)
    assert (sink.only().error_class, sink.only().finish_reason) == ("server_error", "failed")


@pytest.mark.parametrize(
    ("attributes", "response", "reason"),
    [
        ({}, USAGE, "unattributed"),
        ({"customer_id": "c"}, {"model": "m"}, "usage_missing"),
        ({"customer_id": "c" * 300}, USAGE, "invalid"),
        ({"customer_id": "c", "tags": "SECRET"}, USAGE, "invalid"),
        ({"customer_id": "c" * 200 + "é" * 50}, USAGE, "identity"),
    ],
)
def test_what_makes_no_event_is_counted_by_its_reason(
    attributes: dict[str, Any], response: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Kept()
    meter = Meter(sink, background=False, **attributes)
    begin(meter).done(response)
    assert sink.events == [] and meter.stats.lost == {reason: 1}
    assert "SECRET" not in caplog.text and reason in caplog.text


def test_one_event_that_is_refused_takes_no_neighbour_along() -> None:
    class Picky(Kept):
        def emit_many(self, events: Sequence[UsageEvent]) -> None:
            if any(event.request_id == "bad" for event in events):
                raise Poison("too_large", "no")
            super().emit_many(events)

    sink = Picky()
    meter = Meter(sink, customer_id="c")
    for name in ("a", "b", "bad", "c"):
        begin(meter, request_id=name).done(USAGE)
    meter.close()
    assert [event.request_id for event in sink.events] == ["a", "b", "c"]
    assert meter.stats.lost == {"too_large": 1} and meter.stats.metered == 3


def test_a_flood_of_failures_is_logged_at_powers_of_two(caplog: pytest.LogCaptureFixture) -> None:
    meter = Meter(Failing(RuntimeError("SECRET")), background=False, customer_id="c")
    with caplog.at_level(logging.ERROR, "tokenmeter.meter"):
        for _ in range(100):
            begin(meter).done(USAGE)
    assert meter.stats.lost == {"RuntimeError": 100}
    assert len(caplog.records) == 7 and "SECRET" not in caplog.text


def test_a_call_that_ends_in_the_garbage_collector_cannot_deadlock() -> None:
    """The fault: a collection may begin while a thread holds the sink's lock, and end a stream there and then."""
    lock = threading.Lock()

    class Locking(Kept):
        def emit_many(self, events: Sequence[UsageEvent]) -> None:
            with lock:
                super().emit_many(events)

    class Stream:
        def __init__(self, call: Call) -> None:
            self.call, self.me = call, self

        def __del__(self) -> None:
            self.call.collected()

    sink = Locking()
    meter = Meter(sink, background=False, customer_id="c")
    Stream(begin(meter, streamed=True))

    def collects() -> None:
        with lock:
            gc.collect()

    thread = threading.Thread(target=collects, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert sink.only().cancelled
    meter.close()


def test_attributes_are_those_of_an_event() -> None:
    meter = Meter(Kept(), customer_id="c")
    with pytest.raises(Misconfigured, match="user_id"):
        Meter(Kept(), user_id="x")
    with pytest.raises(Misconfigured, match="tokens"), meter.attributed(tokens=1):
        pass


def test_names_of_models() -> None:
    assert event_model("openai", "gpt-4o") == "openai/gpt-4o"
    assert event_model("gcp.vertex_ai", "gemini-3") == "google/gemini-3"
    assert event_model("openrouter", "qwen/qwen3") == "qwen/qwen3"
    assert event_model("bedrock", "anthropic.claude") == "anthropic/claude"
    assert event_model("api.example.com", "m") == "m"


def test_errors_by_their_status() -> None:
    class Timeout(Exception):
        pass

    class Answered(Exception):
        status_code = 429

    assert [status_of(error) for error in (Answered(), Timeout(), TimeoutError(), OSError())] == [429, 504, 504, 502]
    names = [error_class(status) for status in (200, 400, 429, 418, 500, 529, 504)]
    assert names == [None, "invalid_request", "rate_limited", "invalid_request", "upstream", "upstream", "timeout"]


def test_ids_are_uuid7_and_in_order() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [event_id(began + timedelta(milliseconds=number)) for number in range(2_000)]
    assert len(set(ids)) == 2_000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert ids == sorted(ids)
    assert event_id(began) != event_id(began)


ENDS = """
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.call import Call
from tokenmeter.events.models import Operation
import time
class Sink:
    def emit_many(self, events):
        time.sleep(0.2)
        print(len(events), flush=True)
meter = Meter(Sink(), customer_id="c")
for _ in range(3):
    Call(meter, "openai", Operation.CHAT, "m").done({"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
"""


def test_a_program_that_ends_without_closing_its_meter_loses_nothing() -> None:
    found = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=30, check=True)
    assert sum(map(int, found.stdout.split())) == 3, found.stderr


def test_no_host_is_imported_that_is_not_used() -> None:
    code = """
import sys
from tokenmeter.emit.integrations import anthropic, asgi, openai
import tokenmeter.emit.usage
hosts = {"openai", "anthropic", "litellm", "opentelemetry", "starlette", "httpx", "uvicorn"}
assert not hosts & set(sys.modules), hosts & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)
