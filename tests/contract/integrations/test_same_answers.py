"""The real `openai` and `anthropic` clients answer their callers the same with and without a meter, byte for byte.

The fault: a meter between a program and its provider that changes an object, a byte, an order or an error, or that
breaks the call when it cannot meter. Each case is performed with the plain client and with metered ones whose meter is
well, has no room, has a naming that raises, or a reader that raises; everything the caller sees must be equal.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

import tokenmeter.emit.integrations.call as reading
from support.call_cases import Case, perform, perform_async
from support.provider_server import ProviderServer, provider_server
from support.sinks import Failing, Kept
from tokenmeter.emit import Emitter
from tokenmeter.emit.integrations import Meter, planned
from tokenmeter.emit.integrations import anthropic as anthropic_host
from tokenmeter.emit.integrations import openai as openai_host
from tokenmeter.events.errors import BufferFull, Undelivered

MESSAGES: list[Any] = [{"role": "user", "content": "SECRET question"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "now", "parameters": {}}}]
CLAUDE_TOOLS: list[Any] = [{"name": "now", "input_schema": {"type": "object"}}]
CHAT, RAW, UNREAD = (
    "chat.completions.create",
    "chat.completions.with_raw_response.create",
    "chat.completions.with_streaming_response.create",
)
SAY = {"model": "claude-sonnet-5", "messages": MESSAGES, "max_tokens": 9}
BRIEFLY_S = 0.05


def chat(name: str, reads: str = "whole", model: str = "gpt-4o", method: str = CHAT, **arguments: Any) -> Case:
    return Case(name, method, {"model": model, "messages": MESSAGES, **arguments}, reads)


def streamed(name: str, reads: str = "stream", model: str = "gpt-4o", method: str = CHAT, **arguments: Any) -> Case:
    return chat(name, reads, model, method, stream=True, **arguments)


def answered(name: str, model: str = "gpt-5", reads: str = "whole", **arguments: Any) -> Case:
    return Case(name, "responses.create", {"model": model, "input": "SECRET", **arguments}, reads)


def claude(name: str, reads: str = "whole", method: str = "messages.create", **arguments: Any) -> Case:
    return Case(name, method, {**SAY, **arguments}, reads)


OPENAI = [
    chat("chat"),
    chat("chat with tools", tools=TOOLS),
    streamed("chat stream"),
    streamed("chat stream with tools", tools=TOOLS),
    streamed("chat stream that asks itself", stream_options={"include_usage": True}),
    streamed("chat stream that asks for no usage", stream_options={"include_usage": False}),
    streamed("chat stream that asks in extra_body", extra_body={"stream_options": {"include_usage": True}}),
    streamed("chat stream left", "break"),
    streamed("chat stream closed", "close"),
    streamed("chat stream in a block", "with"),
    streamed("chat stream that drops", model="breaks"),
    streamed("chat stream that tells an error", model="error-event"),
    *(chat(f"chat answered {status}", model=f"fails-{status}") for status in (400, 401, 404, 422, 429, 500, 503)),
    *(streamed(f"stream answered {status}", model=f"fails-{status}") for status in (400, 429, 500)),
    *(streamed(f"stream with all additions refused: {how}", model=how) for how in ("strict-400", "strict-422")),
    *(streamed(f"stream with all additions refused: {how}", model=how) for how in ("quiet-400", "quiet-422")),
    streamed("raw stream with all additions refused", "raw-stream", "strict-400", RAW),
    chat("chat nobody answers in time", model="slow", timeout=BRIEFLY_S),
    streamed("stream nobody answers in time", model="slow", timeout=BRIEFLY_S),
    chat("chat that is no JSON", model="garbage"),
    chat("chat that ends early", model="cut-short"),
    chat("raw chat", "raw", method=RAW),
    streamed("raw chat stream", "raw-stream", method=RAW),
    chat("unread chat, its bytes", "unread-bytes", method=UNREAD),
    chat("unread chat, parsed", "unread-parse", method=UNREAD),
    streamed("unread stream, its lines", "unread-lines", method=UNREAD),
    chat("raw chat refused", "raw", "fails-429", RAW),
    chat("chat parsed", method="chat.completions.parse"),
    chat("chat stream helper", "helper", method="chat.completions.stream"),
    Case("completion", "completions.create", {"model": "gpt-3.5", "prompt": "SECRET"}),
    Case("completion stream", "completions.create", {"model": "gpt-3.5", "prompt": "S", "stream": True}, "stream"),
    Case("embedding", "embeddings.create", {"model": "e", "input": "SECRET", "encoding_format": "float"}),
    Case("transcription", "audio.transcriptions.create", {"model": "w", "file": ("a.wav", b"RIFF")}),
    Case("image", "images.generate", {"model": "gpt-image-1", "prompt": "SECRET"}),
    answered("response"),
    answered("response stream", reads="stream", stream=True),
    answered("response stream left", reads="break", stream=True),
    answered("response that fails", "response-fails"),
    answered("response stream that fails", "response-fails", "stream", stream=True),
    answered("response in the background", background=True, model="gpt-5"),
    Case("response stream helper", "responses.stream", {"model": "gpt-5", "input": "SECRET"}, "helper"),
    Case("a response that nobody has", "responses.retrieve", {"response_id": "resp_404"}, calls=0),
    Case("a path that nobody has", "post", {"path": "/nobody", "cast_to": object, "body": {"a": 1}}, calls=0),
]
ANTHROPIC = [
    claude("message"),
    claude("message with tools", tools=CLAUDE_TOOLS),
    claude("message stream", "stream", stream=True),
    claude("message stream left", "break", stream=True),
    claude("message stream closed", "close", stream=True),
    claude("message stream in a block", "with", stream=True),
    claude("message stream that drops", "stream", stream=True, model="breaks"),
    claude("message stream that tells an error", "stream", stream=True, model="error-event"),
    *(claude(f"message answered {status}", model=f"fails-{status}") for status in (400, 401, 429, 500, 529)),
    claude("stream answered 529", "stream", stream=True, model="fails-529"),
    claude("message nobody answers in time", model="slow", timeout=BRIEFLY_S),
    claude("message that is no JSON", model="garbage"),
    claude("message that ends early", model="cut-short"),
    claude("raw message", "raw", "messages.with_raw_response.create"),
    claude("unread message, its bytes", "unread-bytes", "messages.with_streaming_response.create"),
    claude("unread stream, its lines", "unread-lines", "messages.with_streaming_response.create", stream=True),
    claude("message stream helper", "helper", "messages.stream"),
    Case("counting tokens", "messages.count_tokens", {"model": "claude", "messages": MESSAGES}, calls=0),
]


@dataclass(frozen=True)
class Clients:
    """Plain ones, of one server; the asynchronous ones belong to ``loop``."""

    server: ProviderServer
    loop: asyncio.Runner
    openai: OpenAI
    openai_async: AsyncOpenAI
    anthropic: Anthropic
    anthropic_async: AsyncAnthropic


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with provider_server() as server, asyncio.Runner() as loop:
        settings: Any = {"api_key": "k", "max_retries": 0}
        versioned, plain = {**settings, "base_url": f"{server.url}/v1"}, {**settings, "base_url": server.url}
        made = Clients(
            server, loop, OpenAI(**versioned), AsyncOpenAI(**versioned), Anthropic(**plain), AsyncAnthropic(**plain)
        )
        yield made
        made.openai.close()
        made.anthropic.close()
        loop.run(made.openai_async.close())
        loop.run(made.anthropic_async.close())


def well() -> Meter:
    return Meter(Kept(), background=False, customer_id="acme")


def raises(*told: Any) -> Any:
    raise RuntimeError("SECRET")


def sick(patch: pytest.MonkeyPatch) -> Iterator[Meter]:
    """Meters that cannot meter, each in its own way."""
    yield Meter(Failing(BufferFull("full")), background=False, customer_id="acme")
    yield Meter(Kept(), background=False, customer_id="acme", naming=raises)
    with patch.context() as patched:
        for name in ("normalise", "fold", "failure_of"):
            patched.setattr(reading, name, raises)
        yield well()


def check(case: Case, server: ProviderServer, run: Callable[[Meter | None], list[str]]) -> None:
    """``run`` performs the case, through a meter if it is given one."""

    def fresh(meter: Meter | None) -> list[str]:
        server.background.clear()
        return run(meter)

    expected = fresh(None)
    assert expected
    meter = well()
    assert fresh(meter) == expected
    waits = case.name == "response in the background"
    if meter.stats.open != waits:
        gc.collect()  # a stream that a client's helper let go
    assert meter.stats.open == waits
    meter.close()
    assert meter.stats.metered + sum(meter.stats.lost.values()) == case.calls, meter.stats
    with pytest.MonkeyPatch.context() as patch:
        for meter in sick(patch):
            assert fresh(meter) == expected


def ids(cases: list[Case]) -> list[str]:
    assert len({case.name for case in cases}) == len(cases)
    return [case.name for case in cases]


@pytest.fixture(autouse=True, scope="module")
def garbage_is_ours() -> Iterator[None]:
    """Collected in the provider's thread, it would close a client's generator that is just running in ours."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("case", OPENAI, ids=ids(OPENAI))
def test_the_openai_client(clients: Clients, case: Case) -> None:
    check(case, clients.server, lambda meter: perform(_with(openai_host, clients.openai, meter), case))


@pytest.mark.parametrize("case", OPENAI, ids=ids(OPENAI))
def test_the_asynchronous_openai_client(clients: Clients, case: Case) -> None:
    def run(meter: Meter | None) -> list[str]:
        return clients.loop.run(perform_async(_with(openai_host, clients.openai_async, meter), case))

    check(case, clients.server, run)


@pytest.mark.parametrize("case", ANTHROPIC, ids=ids(ANTHROPIC))
def test_the_anthropic_client(clients: Clients, case: Case) -> None:
    check(case, clients.server, lambda meter: perform(_with(anthropic_host, clients.anthropic, meter), case))


@pytest.mark.parametrize("case", ANTHROPIC, ids=ids(ANTHROPIC))
def test_the_asynchronous_anthropic_client(clients: Clients, case: Case) -> None:
    def run(meter: Meter | None) -> list[str]:
        return clients.loop.run(perform_async(_with(anthropic_host, clients.anthropic_async, meter), case))

    check(case, clients.server, run)


def _with(host: Any, plain: Any, meter: Meter | None) -> Any:
    return plain if meter is None else host.metered(plain, meter)


def test_a_broker_that_is_away_is_not_noticed(clients: Clients) -> None:
    """A real emitter with room for one event: it refuses the others, and no caller hears of it."""
    emitter = Emitter("127.0.0.1:9", buffer_events=1, on_full="raise", client_config={"log_level": 0})
    meter = Meter(emitter, customer_id="acme")
    for case in OPENAI[:6]:
        assert perform(openai_host.metered(clients.openai, meter), case) == perform(clients.openai, case)
    meter.close()
    assert meter.stats.metered + sum(meter.stats.lost.values()) == 6 and meter.stats.open == 0
    assert meter.stats.lost["BufferFull"] >= 4
    with pytest.raises(Undelivered):
        emitter.close(0.01)


@pytest.mark.parametrize("name", ["chat stream", "stream with all additions refused: strict-422"])
def test_a_meter_that_shows_what_only_it_asked_for_is_caught(
    clients: Clients, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without hiding, and without making a refused call again, the same check fails."""
    monkeypatch.setattr(openai_host, "_unasked", lambda chunk: False)
    monkeypatch.setattr(planned.Planned, "again", lambda self, error: self.call.failed(error))
    with pytest.raises(AssertionError):
        test_the_openai_client(clients, next(case for case in OPENAI if case.name == name))
