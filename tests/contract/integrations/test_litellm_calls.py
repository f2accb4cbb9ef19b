"""LiteLLM answers its callers the same with and without a meter, also where a server refuses what the meter would add.

Each call is made without callbacks, with a logger that is well, and with loggers that cannot meter; everything that the
caller sees must be equal but for what LiteLLM makes anew for each call.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.call_cases import Case, perform, perform_async
from support.plain_litellm import called_back, litellm, plainly
from support.provider_answers import CHAT_TOKENS, PIECES
from support.provider_server import ProviderServer
from support.sinks import Failing, Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.litellm import logger
from tokenmeter.events.errors import BufferFull

# LiteLLM's own warnings are its own.
pytestmark = pytest.mark.filterwarnings("ignore")
TOOLS: list[Any] = [{"type": "function", "function": {"name": "now", "parameters": {}}}]
_ITS_OWN = re.compile(r'"created":\d+|chatcmpl-[0-9a-f-]{36}|[0-9.]+ seconds')
"""The time of day, the ids and the time taken that LiteLLM writes into what it makes."""


def chat(name: str, model: str = "openai/gpt-4o", **arguments: Any) -> Case:
    return Case(name, "completion", {"model": model, **arguments}, "stream" if arguments.get("stream") else "whole")


CASES = [
    chat("chat"),
    chat("chat with tools", tools=TOOLS),
    chat("chat stream", stream=True),
    chat("chat stream with tools", stream=True, tools=TOOLS),
    chat("chat stream that asks itself", stream=True, stream_options={"include_usage": True}),
    chat("chat stream that tells unasked", "mistral/tells-unasked", stream=True),
    chat("chat stream that drops", "openai/breaks", stream=True),
    chat("chat stream that tells an error", "openai/error-event", stream=True),
    *(chat(f"chat answered {status}", f"openai/fails-{status}") for status in (400, 401, 404, 422, 429, 500)),
    *(chat(f"stream answered {status}", f"openai/fails-{status}", stream=True) for status in (400, 429, 500)),
    chat("chat nobody answers in time", "openai/slow", timeout=0.05),
    chat("chat that is no JSON", "openai/garbage"),
    chat("message", "anthropic/claude-sonnet-5"),
    chat("message stream", "anthropic/claude-sonnet-5", stream=True),
    chat("message answered 529", "anthropic/fails-529"),
    Case("completion", "text_completion", {"model": "text-completion-openai/gpt-3.5", "prompt": "SECRET"}),
    Case("embedding", "embedding", {"model": "openai/e", "input": ["SECRET"]}),
    Case("image", "image_generation", {"model": "openai/gpt-image-1", "prompt": "SECRET"}),
    Case("response", "responses", {"model": "openai/gpt-5", "input": "SECRET"}),
    Case("response stream", "responses", {"model": "openai/gpt-5", "input": "SECRET", "stream": True}, "stream"),
]


@pytest.fixture
def meter(sink: Kept) -> Iterator[Meter]:
    meter = Meter(sink, background=False, customer_id="acme")
    with called_back(logger(meter, asked_hosts=["127.0.0.1"])):
        yield meter


@pytest.fixture
def call(server: ProviderServer) -> dict[str, Any]:
    messages = [{"role": "user", "content": "SECRET question"}]
    return {"api_key": "sk-SECRET", "api_base": f"{server.url}/v1", "messages": messages, "max_retries": 0}


def tokens(event: Any) -> dict[str, int]:
    return {n: v for n, v in event.model_dump().items() if n.endswith("_tokens") and v}


def loggers(sink: Kept) -> Iterator[Any]:
    """One that is well, and those that cannot meter, each in its own way."""

    def raises(*told: Any) -> Any:
        raise RuntimeError("SECRET")

    yield logger(Meter(sink, background=False, customer_id="acme"), asked_hosts=["127.0.0.1"])
    yield logger(Meter(Failing(BufferFull("full")), background=False, customer_id="acme"), asked_hosts=["127.0.0.1"])
    yield logger(Meter(Kept(), background=False, naming=raises, customer_id="acme"), raises)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_caller_gets_the_same(server: ProviderServer, sink: Kept, case: Case, asynchronous: bool) -> None:
    of_claude = str(case.arguments["model"]).startswith("anthropic/")
    common = {"api_key": "k", "api_base": server.url if of_claude else f"{server.url}/v1", "max_retries": 0}
    if case.method == "completion":
        common["messages"] = [{"role": "user", "content": "SECRET question"}]
    method = f"a{case.method}" if asynchronous else case.method
    made = Case(case.name, method, {**common, **case.arguments}, case.reads)

    def seen() -> list[str]:
        server.background.clear()
        told = asyncio.run(perform_async(litellm, made)) if asynchronous else perform(litellm, made)
        return [_ITS_OWN.sub("", text) for text in told]

    plainly()
    expected = seen()
    try:
        for one in loggers(sink):
            plainly()
            litellm.callbacks = [one]
            assert seen() == expected
    finally:
        plainly()


@pytest.mark.parametrize("model", ["openai/strict-400", "openai/quiet-422", "mistral/strict-422"])
def test_a_server_that_refuses_additions_breaks_no_call(
    call: dict[str, Any], server: ProviderServer, sink: Kept, meter: Meter, model: str
) -> None:
    """LiteLLM makes no call again for us: so nothing is added where it is not known to be taken."""
    litellm.callbacks = [logger(meter)]

    async def run() -> int:
        stream = await litellm.acompletion(model=model, stream=True, **call)
        return len([chunk async for chunk in stream])

    assert asyncio.run(run()) == len(list(litellm.completion(model=model, stream=True, **call)))
    assert all("stream_options" not in body for _, body in server.requests[-2:])


def test_a_host_that_was_said_to_take_it_and_refuses_is_asked_once(
    call: dict[str, Any], server: ProviderServer, sink: Kept, meter: Meter
) -> None:
    async def run() -> int:
        with pytest.raises(litellm.BadRequestError):
            await litellm.acompletion(model="openai/strict-400", stream=True, **call)
        stream = await litellm.acompletion(model="openai/strict-400", stream=True, **call)
        return len([chunk async for chunk in stream])

    assert asyncio.run(run()) == PIECES + 1
    assert "stream_options" not in server.requests[-1][1]


@pytest.mark.parametrize("provider", ["mistral", "openrouter"])
def test_what_a_stream_tells_unasked_is_read(call: dict[str, Any], sink: Kept, meter: Meter, provider: str) -> None:
    """And not LiteLLM's own count, which takes its place where a provider tells nothing."""

    async def run() -> None:
        stream = await litellm.acompletion(model=f"{provider}/tells-unasked", stream=True, **call)
        assert len([chunk async for chunk in stream]) == PIECES + 1

    asyncio.run(run())
    sink.wait_for(1)
    list(litellm.completion(model=f"{provider}/tells-unasked", stream=True, **call))
    sink.wait_for(2)
    assert [tokens(event) for event in sink.events] == [CHAT_TOKENS] * 2, meter.stats


def test_the_hook_leaves_a_stream_to_mistral_as_it_is(meter: Meter) -> None:
    """The shared case 65: its 422 is OpenAI's Agents SDK's issue 442."""
    kwargs = {"model": "mistral/mistral-large-latest", "stream": True, "messages": []}
    assert asyncio.run(litellm.callbacks[0].async_pre_call_deployment_hook(dict(kwargs), None)) is None
