"""A gateway of somebody else's behind real uvicorn, metered by the middleware; the real `openai` client calls it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from support.gateway_app import gateway_app, served
from support.provider_answers import CHAT_TOKENS, MESSAGE_TOKENS, PIECES, RESPONSES_TOKENS
from support.provider_server import ProviderServer
from support.sinks import Failing, Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.asgi import MeterMiddleware

MESSAGES: list[Any] = [{"role": "user", "content": "SECRET question"}]
CUSTOMERS = {"Bearer key-a": "customer-a", "Bearer key-b": "customer-b"}


def identify(scope: Any) -> Mapping[str, Any] | None:
    headers = dict(scope["headers"])
    customer = CUSTOMERS.get(headers.get(b"authorization", b"").decode())
    return {"customer_id": customer} if customer else None


@pytest.fixture
def meter(sink: Kept) -> Meter:
    return Meter(sink, background=False, router="my-gateway", customer_id="nobody-known")


@pytest.fixture
def url(server: ProviderServer, meter: Meter) -> Iterator[str]:
    with served(MeterMiddleware(gateway_app(server.url), meter, identify=identify, provider="openai")) as running:
        yield running


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(api_key="key-a", base_url=f"{url}/v1", max_retries=0) as plain:
        yield plain


def tokens(event: Any) -> dict[str, int]:
    return {n: v for n, v in event.model_dump().items() if n.endswith("_tokens") and v}


def test_json_answers_are_metered_for_whoever_holds_the_key(client: OpenAI, url: str, sink: Kept) -> None:
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).usage
    client.with_options(api_key="key-b").embeddings.create(model="e", input="x", encoding_format="float")
    client.with_options(api_key="key-x").responses.create(model="gpt-5", input="x")
    sink.wait_for(3)
    assert [event.customer_id for event in sink.events] == ["customer-a", "customer-b", "nobody-known"]
    assert [event.operation for event in sink.events] == ["CHAT", "EMBEDDING", "RESPONSE"]
    assert tokens(sink.events[0]) == CHAT_TOKENS and tokens(sink.events[2]) == RESPONSES_TOKENS
    event = sink.events[0]
    assert (event.router, event.provider, event.model, event.status) == ("my-gateway", "openai", "openai/gpt-4o", 200)


def test_a_stream_is_asked_for_its_usage_and_the_caller_does_not_see_it(
    client: OpenAI, sink: Kept, server: ProviderServer
) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert len(chunks) == PIECES + 1 and all(chunk.choices for chunk in chunks)
    assert server.requests[-1][1]["stream_options"] == {"include_usage": True}
    asked: Any = {"include_usage": True}
    seen = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=asked))
    assert seen[-1].choices == [] and seen[-1].usage is not None
    assert list(client.responses.create(model="gpt-5", input="x", stream=True))[-1].type == "response.completed"
    sink.wait_for(3)
    assert [tokens(event) for event in sink.events] == [CHAT_TOKENS, CHAT_TOKENS, RESPONSES_TOKENS]
    assert all(event.streamed and event.latency_ms is not None for event in sink.events)


def test_what_is_not_hidden_passes_byte_for_byte(url: str, server: ProviderServer, sink: Kept) -> None:
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    direct = httpx.post(f"{server.url}/v1/chat/completions", json=body)
    through = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"Authorization": "Bearer key-a"})
    assert through.content == direct.content
    hidden = httpx.post(f"{url}/v1/chat/completions", json={**body, "stream_options": None})
    lines = [line for line in hidden.text.splitlines() if line]
    assert lines[-1] == "data: [DONE]" and len(lines) == PIECES + 2
    sink.wait_for(2)


def test_messages_in_anthropics_shape(server: ProviderServer, meter: Meter, sink: Kept) -> None:
    app = MeterMiddleware(gateway_app(server.url), meter)
    with served(app) as url, Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        call: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": MESSAGES}
        client.messages.create(**call)
        with client.messages.stream(**call) as stream:
            stream.until_done()
        sink.wait_for(2)
    assert [tokens(event) for event in sink.events] == [MESSAGE_TOKENS] * 2


def test_a_caller_who_hangs_up_is_metered_as_cancelled(client: OpenAI, sink: Kept, server: ProviderServer) -> None:
    before = server.hung_up
    with client.chat.completions.create(model="endless", messages=MESSAGES, stream=True) as stream:
        for _ in range(3):
            next(stream)
    event = sink.only()
    assert event.cancelled and (event.model, event.customer_id) == ("openai/endless", "customer-a")
    sink.wait_for(2, within_s=0.3)
    assert len(sink.events) == 1 and server.hung_up >= before


def test_errors_of_the_upstream_and_of_the_app(client: OpenAI, url: str, sink: Kept) -> None:
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="fails-429", messages=MESSAGES)
    with pytest.raises(openai.InternalServerError):
        client.with_options(base_url=f"{url}/explodes/v1").chat.completions.create(model="m", messages=MESSAGES)
    sink.wait_for(2)
    assert [(event.status, event.error_class) for event in sink.events] == [(429, "rate_limited"), (500, "upstream")]


def test_other_requests_pass_untouched(client: OpenAI, url: str, sink: Kept, meter: Meter) -> None:
    assert client.models.list().data == []
    assert httpx.post(f"{url}/v1/moderations", json={"input": "x"}).status_code == 404
    assert httpx.post(f"{url}/v1/messages/count_tokens", json={}).json() == {"input_tokens": 2095}
    assert sink.events == [] and meter.stats.lost == {} and meter.stats.open == 0


def test_the_model_of_a_form_is_found_however_large_its_file(client: OpenAI, sink: Kept) -> None:
    for size in (400, 9 << 20):
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"R" * size))
    sink.wait_for(2)
    found = [(event.operation, event.model, event.input_audio_tokens) for event in sink.events]
    assert found == [("AUDIO", "openai/gpt-4o-transcribe", 10)] * 2


def test_an_answer_that_was_compressed_inside(meter: Meter, sink: Kept) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    data = gzip.compress(json.dumps({"model": "m", "choices": [], "usage": usage}).encode())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data[:20], "more_body": True})
        await send({"type": "http.response.body", "body": data[20:]})

    with served(MeterMiddleware(app, meter)) as url:
        assert httpx.post(f"{url}/v1/chat/completions", json={"model": "m"}).json()["usage"] == usage
    assert (sink.only().input_tokens, sink.only().output_tokens) == (3, 4)


def test_a_failure_to_meter_never_breaks_the_answer(server: ProviderServer) -> None:
    def lost_keys(scope: Any) -> Mapping[str, Any] | None:
        raise KeyError("SECRET")

    for identified, error in ((lost_keys, "KeyError"), (None, "RuntimeError")):
        meter = Meter(Failing(RuntimeError("no")), background=False, customer_id="c")
        app = MeterMiddleware(gateway_app(server.url), meter, identify=identified)
        with served(app) as url, OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
            assert client.chat.completions.create(model="m", messages=MESSAGES).usage
            assert list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        assert meter.stats.lost == {error: 2}


def test_no_event_holds_a_question_an_answer_or_a_key(client: OpenAI, sink: Kept) -> None:
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    sink.wait_for(2)
    written = "".join(event.model_dump_json() for event in sink.events)
    assert "SECRET" not in written and "key-a" not in written
