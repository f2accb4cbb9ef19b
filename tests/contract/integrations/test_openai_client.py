"""The real `openai` client against a local server: what it answers is unchanged, and every call is metered once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from support.provider_answers import CHAT_TOKENS, PIECES, RESPONSES_TOKENS
from support.provider_server import ProviderServer
from support.sinks import Failing, Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.openai import metered
from tokenmeter.events.errors import BufferFull

MESSAGES: list[Any] = [{"role": "user", "content": "SECRET question"}]


@pytest.fixture
def meter(sink: Kept) -> Meter:
    return Meter(sink, background=False, customer_id="acme", project_id="p1")


@pytest.fixture
def client(server: ProviderServer, meter: Meter) -> Iterator[OpenAI]:
    with OpenAI(api_key="sk-SECRET", base_url=f"{server.url}/v1", max_retries=0) as plain:
        yield metered(plain, meter, provider="openai")


def tokens(event: Any) -> dict[str, int]:
    return {n: v for n, v in event.model_dump().items() if n.endswith("_tokens") and v}


def test_a_chat_call(client: OpenAI, sink: Kept, meter: Meter) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == "SECRET answer"
    event = sink.only()
    assert tokens(event) == CHAT_TOKENS
    assert (event.customer_id, event.project_id, event.provider) == ("acme", "p1", "openai")
    assert (event.model, event.requested_model, event.operation) == ("openai/gpt-4o", "gpt-4o", "CHAT")
    assert (event.status, event.finish_reason, event.upstream_id) == (200, "stop", "chatcmpl-1")
    assert (event.streamed, event.cancelled, event.service_tier) == (False, False, "default")
    assert event.started_at is not None and event.started_at <= event.occurred_at
    assert event.duration_ms is not None and event.latency_ms is None
    assert meter.stats.open == 0 and meter.stats.lost == {}


def test_a_chat_call_with_tools(client: OpenAI, sink: Kept) -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": "now", "parameters": {}}}]
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=tools)
    assert answer.choices[0].message.tool_calls
    assert (sink.only().tool_calls, sink.only().finish_reason) == (1, "tool_calls")


def test_a_stream_is_asked_for_its_usage_and_the_chunk_is_hidden(
    client: OpenAI, sink: Kept, server: ProviderServer
) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert len(chunks) == PIECES + 1 and all(chunk.choices for chunk in chunks)
    assert server.requests[-1][1]["stream_options"] == {"include_usage": True}
    event = sink.only()
    assert tokens(event) == CHAT_TOKENS
    assert event.streamed and not event.cancelled and event.finish_reason == "stop"
    assert event.latency_ms is not None and event.duration_ms is not None
    assert event.latency_ms <= event.duration_ms


def test_a_caller_who_asks_for_usage_sees_it(client: OpenAI, sink: Kept) -> None:
    options: Any = {"include_usage": True}
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=options)
    chunks = list(stream)
    assert len(chunks) == PIECES + 2 and chunks[-1].usage is not None and chunks[-1].choices == []
    assert tokens(sink.only()) == CHAT_TOKENS


def test_other_stream_options_are_kept(client: OpenAI, sink: Kept, server: ProviderServer) -> None:
    options: Any = {"include_obfuscation": False}
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=options)
    assert all(chunk.choices for chunk in stream)
    assert server.requests[-1][1]["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert tokens(sink.only()) == CHAT_TOKENS


def test_a_caller_who_refuses_usage_is_obeyed_and_counted(client: OpenAI, sink: Kept, meter: Meter) -> None:
    options: Any = {"include_usage": False}
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=options)
    assert len(list(stream)) == PIECES + 1
    assert sink.events == [] and meter.stats.lost == {"usage_missing": 1} and meter.stats.open == 0


@pytest.mark.parametrize("way", ["break", "close", "with", "exception"])
def test_a_stream_that_the_caller_cuts_is_metered_as_cancelled(
    client: OpenAI, sink: Kept, server: ProviderServer, meter: Meter, way: str
) -> None:
    def cut() -> None:
        stream = client.chat.completions.create(model="endless", messages=MESSAGES, stream=True)
        if way == "break":
            for _ in stream:
                break
        elif way == "close":
            next(stream)
            stream.close()
        elif way == "with":
            with stream:
                next(stream)
        else:
            with pytest.raises(KeyError), stream:
                for _ in stream:
                    raise KeyError

    cut()
    event = sink.only()
    assert event.cancelled and event.streamed and event.model == "openai/endless"
    # OpenAI tells usage at the end only: unknown, and said so.
    assert (tokens(event), event.error_class, event.upstream_id) == ({}, "usage_unseen", "chatcmpl-1")
    assert meter.stats.open == 0


def test_a_stream_may_be_left_and_taken_up_again(client: OpenAI, sink: Kept) -> None:
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    for _ in stream:
        break
    assert sink.events == []
    assert len(list(stream)) == PIECES
    assert tokens(sink.only()) == CHAT_TOKENS and not sink.only().cancelled


def test_a_stream_that_breaks_raises_what_it_raised_and_is_metered(client: OpenAI, sink: Kept) -> None:
    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(model="breaks", messages=MESSAGES, stream=True))
    event = sink.only()
    assert (event.status, event.error_class, event.cancelled) == (502, "upstream", False)


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, openai.BadRequestError, "invalid_request"),
        (401, openai.AuthenticationError, "unauthorized"),
        (429, openai.RateLimitError, "rate_limited"),
        (500, openai.InternalServerError, "upstream"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_reaches_the_caller_and_the_meter(
    client: OpenAI, sink: Kept, status: int, kind: type[Exception], name: str, stream: bool
) -> None:
    with pytest.raises(kind):
        client.chat.completions.create(model=f"fails-{status}", messages=MESSAGES, stream=stream)
    event = sink.only()
    assert (event.status, event.error_class, event.input_tokens) == (status, name, 0)
    assert event.model == f"openai/fails-{status}"


def test_nobody_there(meter: Meter, sink: Kept) -> None:
    client = metered(OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0), meter)
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert (sink.only().status, sink.only().provider) == (502, "127.0.0.1")


def test_responses_and_their_stream(client: OpenAI, sink: Kept) -> None:
    assert client.responses.create(model="gpt-5", input="SECRET").output_text == "SECRET"
    events = list(client.responses.create(model="gpt-5", input="SECRET", stream=True))
    assert events[-1].type == "response.completed"
    with client.responses.stream(model="gpt-5", input="SECRET") as helper:
        for _ in helper:
            pass
    assert [tokens(event) for event in sink.events] == [RESPONSES_TOKENS] * 3
    assert {event.operation for event in sink.events} == {"RESPONSE"}


def test_the_stream_helper_and_parse(client: OpenAI, sink: Kept) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content
    client.chat.completions.parse(model="gpt-4o", messages=MESSAGES)
    assert [tokens(event) for event in sink.events] == [CHAT_TOKENS] * 2


def test_embeddings_completions_audio_and_images(client: OpenAI, sink: Kept) -> None:
    client.embeddings.create(model="text-embedding-3-small", input="SECRET", encoding_format="float")
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt="SECRET")
    assert all(c.choices for c in client.completions.create(model="gpt-3.5", prompt="SECRET", stream=True))
    client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"))
    client.images.generate(model="gpt-image-1", prompt="SECRET")
    found = [(event.operation, event.input_tokens, event.output_tokens) for event in sink.events]
    assert found == [
        ("EMBEDDING", 8, 0),
        ("COMPLETION", 5, 7),
        ("COMPLETION", 5, 7),
        ("AUDIO", 14, 45),
        ("IMAGE", 50, 50),
    ]
    assert sink.events[3].input_audio_tokens == 10 and sink.events[3].model == "openai/gpt-4o-transcribe"


def test_raw_responses(client: OpenAI, sink: Kept, meter: Meter) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    assert raw.parse().choices[0].message.content == "SECRET answer"
    assert raw.headers["request-id"] == "req_1"
    raw_stream = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES, stream=True)
    assert len(list(raw_stream.parse())) == PIECES + 1
    streaming = client.chat.completions.with_streaming_response
    with streaming.create(model="gpt-4o", messages=MESSAGES) as unread:
        assert b"SECRET answer" in b"".join(unread.iter_bytes())
    with streaming.create(model="gpt-4o", messages=MESSAGES) as unread:
        assert unread.parse().usage is not None
    asked: Any = {"include_usage": True}
    with streaming.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=asked) as unread:
        assert len([line for line in unread.iter_lines() if line.startswith("data:")]) == PIECES + 3
    assert [tokens(event) for event in sink.events] == [CHAT_TOKENS] * 5
    with streaming.create(model="endless", messages=MESSAGES, stream=True) as unread:
        next(unread.iter_lines())
    sink.wait_for(6)
    assert sink.events[5].cancelled
    with streaming.create(model="gpt-4o", messages=MESSAGES):
        pass  # never read
    assert sink.events[6].cancelled and meter.stats.open == 0


def test_options_keep_the_meter_and_the_original_stays_plain(server: ProviderServer, meter: Meter, sink: Kept) -> None:
    plain = OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0)
    plain.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    client = metered(plain, meter)
    plain.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert sink.events == []
    client.with_options(timeout=5).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    client.copy(max_retries=1).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert isinstance(client, OpenAI) and len(sink.events) == 2


def test_attributes_of_a_block_of_calls(client: OpenAI, meter: Meter, sink: Kept) -> None:
    with meter.attributed(customer_id="umbrella", end_user_id="u1", tags=("a", "b")):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        with meter.attributed(end_user_id="u2"):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    found = [(event.customer_id, event.end_user_id, event.project_id) for event in sink.events]
    assert found == [("umbrella", "u1", "p1"), ("umbrella", "u2", "p1"), ("acme", None, "p1")]


@pytest.mark.parametrize("error", [BufferFull("full"), RuntimeError("SECRET"), OSError(28, "disk")])
def test_a_failure_to_meter_never_breaks_the_call(
    server: ProviderServer, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    meter = Meter(Failing(error), background=False, customer_id="acme")
    client = metered(OpenAI(api_key="k", base_url=f"{server.url}/v1"), meter)
    with caplog.at_level(logging.DEBUG):
        assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).usage
        assert len(list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))) == PIECES + 1
    assert meter.stats.lost == {type(error).__name__: 2} and meter.stats.metered == 0
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("tokenmeter")]
    assert len(ours) == 2 and not any("SECRET" in line for line in ours)


def test_a_call_that_is_nobodys_is_counted(server: ProviderServer) -> None:
    meter = Meter(Kept(), background=False)
    client = metered(OpenAI(api_key="k", base_url=f"{server.url}/v1"), meter)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert meter.stats.lost == {"unattributed": 1}


def test_async_calls_streams_cuts_and_cancelled_tasks(server: ProviderServer, meter: Meter, sink: Kept) -> None:
    async def run() -> None:
        async with AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as plain:
            client = metered(plain, meter, provider="openai")
            assert (await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)).usage
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            assert len([chunk async for chunk in stream]) == PIECES + 1
            async with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as helper:
                await helper.get_final_completion()
            asked: Any = {"include_usage": True}
            streaming = client.chat.completions.with_streaming_response
            async with streaming.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=asked) as unread:
                assert [line async for line in unread.iter_lines()]
            assert [tokens(event) for event in sink.events] == [CHAT_TOKENS] * 4

            cut = await client.chat.completions.create(model="endless", messages=MESSAGES, stream=True)
            async for _ in cut:
                break
            await cut.close()
            assert sink.events[4].cancelled

            async def reads() -> None:
                endless = await client.chat.completions.create(model="endless", messages=MESSAGES, stream=True)
                async for _ in endless:
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reads(), 0.2)
            assert sink.events[5].cancelled
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="fails-429", messages=MESSAGES)
            assert sink.events[6].status == 429

    asyncio.run(run())
    assert meter.stats.open == 0 and meter.stats.lost == {}


def test_what_is_still_open_is_metered_when_the_meter_closes(client: OpenAI, meter: Meter, sink: Kept) -> None:
    stream = client.chat.completions.create(model="endless", messages=MESSAGES, stream=True)
    next(stream)
    assert meter.stats.open == 1
    meter.close()
    assert sink.only().cancelled
    stream.close()
    assert meter.stats.open == 0 and meter.stats.metered == 1


def test_no_event_holds_a_question_an_answer_or_a_key(client: OpenAI, sink: Kept) -> None:
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert "SECRET" not in "".join(event.model_dump_json() for event in sink.events)
