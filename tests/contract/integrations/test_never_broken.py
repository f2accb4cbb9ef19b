"""Nothing that metering adds to a request is the reason why it fails.

The fault: a server that refuses every field its caller did not write (Mistral's 422, Azure's 400 with an old
api-version). The call is answered as without a meter, there is one event of it, and the server is not asked again.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from support.gateway_app import gateway_app, served
from support.provider_answers import CHAT_TOKENS, PIECES
from support.provider_server import ProviderServer
from support.sinks import Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.asgi import MeterMiddleware
from tokenmeter.emit.integrations.openai import metered

MESSAGES: list[Any] = [{"role": "user", "content": "SECRET question"}]
STREAM: dict[str, Any] = {"messages": MESSAGES, "stream": True}
REFUSALS = ["strict-400", "strict-422", "quiet-400", "quiet-422"]


def client_of(kind: type, server: ProviderServer, meter: Meter) -> Any:
    if issubclass(kind, (AzureOpenAI, AsyncAzureOpenAI)):
        settings: dict[str, Any] = {"azure_endpoint": server.url, "api_version": "2024-02-01"}
    else:
        settings = {"base_url": f"{server.url}/v1"}
    return metered(kind(api_key="k", max_retries=0, **settings), meter)


def asked(server: ProviderServer) -> list[bool]:
    """Of each request whether it asks for usage; they are forgotten then."""
    found = ["stream_options" in body for _, body in server.requests]
    server.requests.clear()
    return found


@pytest.mark.parametrize("kind", [OpenAI, AzureOpenAI])
@pytest.mark.parametrize("model", REFUSALS)
def test_a_refused_stream_is_made_again_as_written_and_the_server_remembered(
    server: ProviderServer, meter: Meter, sink: Kept, kind: type, model: str
) -> None:
    server.requests.clear()
    with client_of(kind, server, meter) as client:
        for _ in range(2):
            assert len(list(client.chat.completions.create(model=model, **STREAM))) == PIECES + 1
        assert asked(server) == [True, False, False]
        list(client.with_options(timeout=9).completions.create(model=model, prompt="x", stream=True))
        assert asked(server) == [False], "a copy of the client remembers as well"
        list(client.chat.completions.create(model="gpt-4o", **STREAM))
        assert asked(server) == [True], "another model of the server may take it"
    # Nobody told the usage of the three: they are counted, and none of them is broken.
    assert meter.stats.lost == {"usage_missing": 3} and meter.stats.open == 0
    assert {n: v for n, v in sink.only().model_dump().items() if n.endswith("_tokens") and v} == CHAT_TOKENS


@pytest.mark.parametrize("kind", [AsyncOpenAI, AsyncAzureOpenAI])
def test_so_it_is_asynchronously(server: ProviderServer, meter: Meter, kind: type) -> None:
    async def run() -> None:
        async with client_of(kind, server, meter) as client:
            for _ in range(2):
                stream = await client.chat.completions.create(model="quiet-400", **STREAM)
                assert len([chunk async for chunk in stream]) == PIECES + 1
            raw = await client.chat.completions.with_raw_response.create(model="strict-422", **STREAM)
            assert len([chunk async for chunk in raw.parse()]) == PIECES + 1

    server.requests.clear()
    asyncio.run(run())
    assert asked(server) == [True, False, False, True, False]
    assert meter.stats.lost == {"usage_missing": 3} and meter.stats.open == 0


def test_the_callers_own_fault_is_one_call_and_his_to_hear(server: ProviderServer, meter: Meter, sink: Kept) -> None:
    server.requests.clear()
    with client_of(OpenAI, server, meter) as client:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="fails-400", **STREAM)
        assert asked(server) == [True, False], "it may have been ours"
        assert sink.only().status == 400
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="fails-400", **STREAM)
        assert asked(server) == [True, False], "no answer, so nothing was learnt"
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="fails-429", **STREAM)
        assert asked(server) == [True], "no refusal of a field"


def test_what_is_added_nowhere_cannot_be_refused(server: ProviderServer, meter: Meter) -> None:
    """Whoever reads the bytes, writes stream_options himself or calls without a stream gets what he wrote."""
    server.requests.clear()
    with client_of(OpenAI, server, meter) as client:
        own: Any = {"stream_options": {"include_usage": False}}
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="strict-400", **STREAM, extra_body=own)
        with client.chat.completions.with_streaming_response.create(model="strict-400", **STREAM) as unread:
            assert b"SECRET" in b"".join(unread.iter_bytes())
        client.chat.completions.create(model="strict-400", messages=MESSAGES)
        client.responses.create(model="strict-400", input="x")
    sent = [body for _, body in server.requests]
    assert sent[0]["stream_options"] == own["stream_options"]
    assert not any("stream_options" in body for body in sent[1:])


@pytest.mark.parametrize("provider", ["mistral", "cohere", "anthropic", "openrouter"])
def test_who_tells_unasked_is_not_asked_and_nothing_of_it_is_hidden(
    server: ProviderServer, meter: Meter, provider: str
) -> None:
    server.requests.clear()
    with metered(OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0), meter, provider=provider) as client:
        assert len(list(client.chat.completions.create(model="strict-400", **STREAM))) == PIECES + 1
    assert asked(server) == [False]


@pytest.mark.parametrize("model", REFUSALS)
def test_an_app_behind_the_middleware_is_called_again_as_written(
    server: ProviderServer, meter: Meter, sink: Kept, model: str
) -> None:
    server.requests.clear()
    body = json.dumps({"model": model, **STREAM}).encode()
    head = {"content-type": "application/json", "accept-encoding": "gzip"}
    bare = httpx.post(f"{server.url}/v1/chat/completions", content=body, headers=head)
    with served(MeterMiddleware(gateway_app(server.url), meter)) as url, httpx.Client(base_url=url) as client:
        path = "/v1/chat/completions"
        for _ in range(2):
            answer = client.post(path, content=body, headers=head)
            assert (answer.status_code, answer.content) == (200, bare.content)
        assert asked(server) == [False, True, False, False]
        assert server.requests == []
        refused = client.post(path, json={"model": "fails-400", **STREAM})
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, "no")
        assert asked(server) == [True, False]
        taken = client.post(path, json={"model": "gpt-4o", **STREAM})
        bare = httpx.post(f"{server.url}{path}", json={"model": "gpt-4o", **STREAM})
        assert taken.content == bare.content, "no usage, and no mark that there will be one"
    sink.wait_for(2)
    assert [(event.status, event.output_tokens) for event in sink.events] == [(400, 0), (200, 300)]
    assert meter.stats.lost == {"usage_missing": 2} and meter.stats.open == 0
