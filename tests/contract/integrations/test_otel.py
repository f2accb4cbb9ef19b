"""OpenTelemetry's real SDK: GenAI spans become events, each call once, whoever else tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode, Tracer

from support.sinks import Failing, Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.otel import processor

CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
}
ANSWER: dict[str, Any] = {
    "gen_ai.response.model": "gpt-5-2025-08-07",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.cache_read.input_tokens": 800,
    "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "gen_ai.output.messages": "SECRET",
}


@pytest.fixture
def tracer(meter: Meter) -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(processor(meter))
    yield provider.get_tracer("test")
    provider.shutdown()


def test_a_span_becomes_an_event(tracer: Tracer, sink: Kept) -> None:
    with tracer.start_as_current_span("chat gpt-5", attributes=CALL) as span:
        span.set_attributes({**ANSWER, "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.conversation.id": "c1"})
        context = span.get_span_context()
    event = sink.only()
    assert (event.input_tokens, event.cached_input_tokens, event.cache_write_tokens) == (1000, 800, 100)
    assert (event.output_tokens, event.reasoning_tokens) == (50, 20)
    assert (event.model, event.requested_model, event.provider) == ("openai/gpt-5-2025-08-07", "gpt-5", "openai")
    assert (event.finish_reason, event.upstream_id, event.session_id) == ("stop", "chatcmpl-1", "c1")
    assert (event.latency_ms, event.streamed, event.status) == (250, True, 200)
    assert event.event_id == f"{context.trace_id:032x}-{context.span_id:016x}"
    assert "SECRET" not in event.model_dump_json()


def test_times_are_the_spans_to_the_microsecond(tracer: Tracer, sink: Kept) -> None:
    span = tracer.start_span("chat", attributes={**CALL, **ANSWER}, start_time=1_790_000_000_123_456_789)
    span.end(1_790_000_001_623_456_999)
    event = sink.only()
    assert event.started_at == datetime(2026, 9, 21, 14, 13, 20, 123456, UTC)
    assert event.occurred_at == datetime(2026, 9, 21, 14, 13, 21, 623456, UTC)
    assert event.duration_ms == 1500


def test_whose_call_it_is(meter: Meter, sink: Kept) -> None:
    provider = TracerProvider()
    provider.add_span_processor(processor(meter, lambda span: {"app_id": "by-function"}))
    tracer = provider.get_tracer("test")
    told = {"tokenmeter.customer_id": "umbrella", "tokenmeter.project_id": "p1"}
    with tracer.start_as_current_span("chat", attributes={**CALL, **ANSWER, **told}):
        pass
    with meter.attributed(customer_id="by-block"):
        span = tracer.start_span("chat", attributes={**CALL, **ANSWER})
    span.end()
    found = [(event.customer_id, event.project_id, event.app_id) for event in sink.events]
    assert found == [("umbrella", "p1", "by-function"), ("by-block", None, "by-function")]


def test_a_call_that_a_framework_tells_of_again_counts_once(tracer: Tracer, sink: Kept) -> None:
    with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
        for _ in range(2):
            with (
                tracer.start_as_current_span("chat framework", attributes={**CALL, **ANSWER}),
                tracer.start_as_current_span("retry"),
                tracer.start_as_current_span("chat client", attributes={**CALL, **ANSWER}),
            ):
                pass
        with tracer.start_as_current_span("execute_tool", attributes={"gen_ai.operation.name": "execute_tool"}):
            pass
    assert len(sink.events) == 2 and len({event.event_id for event in sink.events}) == 2


@pytest.mark.parametrize(
    ("attributes", "status", "name"),
    [({"error.type": "429"}, 429, "rate_limited"), ({"error.type": "timeout"}, 502, "upstream")],
)
def test_a_failed_call(tracer: Tracer, sink: Kept, attributes: dict[str, Any], status: int, name: str) -> None:
    with tracer.start_as_current_span("chat", attributes=CALL) as span:
        span.set_attributes(attributes)
        span.set_status(Status(StatusCode.ERROR))
    event = sink.only()
    assert (event.status, event.error_class, event.input_tokens, event.model) == (status, name, 0, "openai/gpt-5")


def test_embeddings_and_the_names_of_before(tracer: Tracer, sink: Kept) -> None:
    embeddings = {**CALL, "gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 7}
    tracer.start_span("embeddings", attributes=embeddings).end()
    old = {"gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude"}
    old |= {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 6}
    tracer.start_span("chat", attributes=old).end()
    found = [(event.operation, event.provider, event.input_tokens, event.output_tokens) for event in sink.events]
    assert found == [("EMBEDDING", "openai", 7, 0), ("CHAT", "anthropic", 5, 6)]


def test_what_breaks_the_convention_or_is_not_told_is_counted(tracer: Tracer, sink: Kept, meter: Meter) -> None:
    """Anthropic's own input_tokens, without cache, is what instrumentation gets wrong most often."""
    tracer.start_span("chat", attributes={**CALL, **ANSWER, "gen_ai.usage.input_tokens": 100}).end()
    tracer.start_span("chat", attributes=CALL).end()
    tracer.start_span("GET /", attributes={"http.request.method": "GET"}).end()
    assert sink.events == [] and meter.stats.lost == {"breakdown": 1, "usage_missing": 1}


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        (
            {"gen_ai.system": "MistralAI", "llm.request.type": "chat", "gen_ai.response.model": "mistral-large"},
            ("mistral", "mistralai/mistral-large", "CHAT"),
        ),
        (
            {"openinference.span.kind": "LLM", "llm.provider": "aws", "llm.model_name": "us.anthropic.claude-x-v1:0"},
            ("bedrock", "anthropic/claude-x", "CHAT"),
        ),
        (
            {"ai.operationId": "ai.streamText.doStream", "ai.model.provider": "openai.chat", "ai.model.id": "gpt-4o"},
            ("openai", "openai/gpt-4o", "CHAT"),
        ),
    ],
)
def test_spans_of_other_instrumentations(tracer: Tracer, sink: Kept, attributes: Any, found: Any) -> None:
    usage = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.completion_tokens": 4}
    tracer.start_span("call", attributes={**attributes, **usage}).end()
    event = sink.only()
    assert (event.provider, event.model, event.operation) == found
    assert (event.input_tokens, event.output_tokens) == (11, 4)


def test_a_span_with_token_counts_of_no_known_kind_is_counted_as_lost(tracer: Tracer, sink: Kept, meter: Meter) -> None:
    usage = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 4}
    tracer.start_span("what", attributes=usage).end()
    # An agent's span tells what its calls used, again: that is no loss.
    tracer.start_span("agent", attributes={**usage, "gen_ai.operation.name": "invoke_agent"}).end()
    assert sink.events == [] and meter.stats.lost == {"usage_span": 1}


def test_the_outer_span_of_an_sdk_is_the_same_call_told_again(tracer: Tracer, sink: Kept, meter: Meter) -> None:
    usage = {"ai.usage.promptTokens": 11, "ai.usage.completionTokens": 4, "ai.model.id": "gpt-4o"}
    with tracer.start_as_current_span("ai.generateText", attributes={**usage, "ai.operationId": "ai.generateText"}):
        inner = {**usage, "ai.operationId": "ai.generateText.doGenerate"}
        tracer.start_span("ai.generateText.doGenerate", attributes=inner).end()
    assert sink.only().input_tokens == 11 and meter.stats.lost == {}


def test_a_failure_to_meter_never_breaks_the_program(sink: Kept) -> None:
    meter = Meter(Failing(RuntimeError("no")), background=False, customer_id="c")
    provider = TracerProvider()

    def lost(span: Any) -> dict[str, Any]:
        raise KeyError

    provider.add_span_processor(processor(meter))
    provider.add_span_processor(processor(meter, lost))
    provider.get_tracer("t").start_span("chat", attributes={**CALL, **ANSWER}).end()
    assert meter.stats.lost == {"RuntimeError": 1, "KeyError": 1}
    assert provider.force_flush()
