"""The real `anthropic` client against a local server: what it answers is unchanged, and every call is metered once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from support.provider_answers import MESSAGE_TOKENS, PIECES
from support.provider_server import ProviderServer
from support.sinks import Failing, Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.anthropic import metered

CALL: dict[str, Any] = {"max_tokens": 100, "messages": [{"role": "user", "content": "SECRET question"}]}
CUT = {**MESSAGE_TOKENS, "output_tokens": 1}
del CUT["reasoning_tokens"]


@pytest.fixture
def client(server: ProviderServer, meter: Meter) -> Iterator[Anthropic]:
    with Anthropic(api_key="sk-SECRET", base_url=server.url, max_retries=0) as plain:
        yield metered(plain, meter, provider="anthropic")


def tokens(event: Any) -> dict[str, int]:
    return {n: v for n, v in event.model_dump().items() if n.endswith("_tokens") and v}


def test_a_message(client: Anthropic, sink: Kept, meter: Meter) -> None:
    answer = client.messages.create(model="claude-sonnet-5", tools=[{"name": "now", "input_schema": {}}], **CALL)
    assert answer.content[0].type == "tool_use"
    event = sink.only()
    assert tokens(event) == MESSAGE_TOKENS
    assert (event.model, event.provider, event.operation) == ("anthropic/claude-sonnet-5", "anthropic", "CHAT")
    assert (event.tool_calls, event.finish_reason, event.upstream_id) == (1, "tool_use", "msg_1")
    assert meter.stats.open == 0 and meter.stats.lost == {}


def test_streams_raw_and_by_helper(client: Anthropic, sink: Kept) -> None:
    assert len(list(client.messages.create(model="claude-sonnet-5", stream=True, **CALL))) == PIECES + 5
    with client.messages.stream(model="claude-sonnet-5", **CALL) as stream:
        assert list(stream.text_stream) == ["SECRET"] * PIECES
        assert stream.get_final_message().usage.output_tokens == 503
    assert [tokens(event) for event in sink.events] == [MESSAGE_TOKENS] * 2
    assert all(event.streamed and not event.cancelled and event.latency_ms is not None for event in sink.events)


@pytest.mark.parametrize("way", ["break", "close", "helper"])
def test_a_stream_that_the_caller_cuts_has_its_exact_input(client: Anthropic, sink: Kept, way: str) -> None:
    def cut() -> None:
        if way == "helper":
            with client.messages.stream(model="endless", **CALL) as helper:
                next(iter(helper.text_stream))
            return
        stream = client.messages.create(model="endless", stream=True, **CALL)
        for _ in stream:
            break
        if way == "close":
            stream.close()

    cut()
    event = sink.only()
    assert (event.cancelled, event.error_class, tokens(event)) == (True, None, CUT)


def test_errors(client: Anthropic, sink: Kept) -> None:
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model="fails-429", **CALL)
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(model="fails-529", stream=True, **CALL)
    with pytest.raises(Exception, match=r"peer closed|incomplete"):
        list(client.messages.create(model="breaks", stream=True, **CALL))
    found = [(event.status, event.error_class, event.input_tokens) for event in sink.events]
    assert found == [(429, "rate_limited", 0), (529, "upstream", 0), (502, "upstream", 1085)]


def test_counting_tokens_is_no_call(client: Anthropic, sink: Kept) -> None:
    found = client.messages.count_tokens(model="claude-sonnet-5", messages=CALL["messages"])
    assert found.input_tokens == 2095 and sink.events == []


def test_raw_responses_and_beta(client: Anthropic, sink: Kept, meter: Meter) -> None:
    raw = client.messages.with_raw_response.create(model="claude-sonnet-5", **CALL)
    assert raw.parse().usage.output_tokens == 503
    with client.messages.with_streaming_response.create(model="claude-sonnet-5", stream=True, **CALL) as unread:
        assert "message_stop" in "".join(unread.iter_text())
    client.beta.messages.create(model="claude-sonnet-5", **CALL)
    assert meter.stats.lost == {}
    assert [tokens(event) for event in sink.events] == [MESSAGE_TOKENS] * 3


def test_a_failure_to_meter_never_breaks_the_call(server: ProviderServer) -> None:
    meter = Meter(Failing(RuntimeError("no")), background=False, customer_id="acme")
    client = metered(Anthropic(api_key="k", base_url=server.url), meter)
    assert client.messages.create(model="m", **CALL).usage
    assert len(list(client.messages.create(model="m", stream=True, **CALL))) == PIECES + 5
    assert meter.stats.lost == {"RuntimeError": 2}


def test_async(server: ProviderServer, meter: Meter, sink: Kept) -> None:
    async def run() -> None:
        async with AsyncAnthropic(api_key="k", base_url=server.url, max_retries=0) as plain:
            client = metered(plain, meter)
            await client.messages.create(model="claude-sonnet-5", **CALL)
            stream = await client.messages.create(model="claude-sonnet-5", stream=True, **CALL)
            assert len([event async for event in stream]) == PIECES + 5
            async with client.messages.stream(model="claude-sonnet-5", **CALL) as helper:
                assert [text async for text in helper.text_stream] == ["SECRET"] * PIECES
            raw = await client.messages.with_raw_response.create(model="claude-sonnet-5", **CALL)
            assert (await raw.parse()).usage.output_tokens == 503
            assert [tokens(event) for event in sink.events] == [MESSAGE_TOKENS] * 4
            async with client.messages.stream(model="endless", **CALL) as helper:
                async for _ in helper.text_stream:
                    break
            assert sink.events[4].cancelled and tokens(sink.events[4]) == CUT

            async def reads() -> None:
                async for _ in await client.messages.create(model="endless", stream=True, **CALL):
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reads(), 0.2)
            assert sink.events[5].cancelled and tokens(sink.events[5]) == CUT

    asyncio.run(run())
    assert meter.stats.open == 0 and meter.stats.lost == {}
    assert "SECRET" not in "".join(event.model_dump_json() for event in sink.events)
