"""Passing over chunks of text changes no event: the same stream read whole, and read as Call reads it, say the same.

The fault: a chunk that looks like text and tells something besides: a figure, a tool, a tier, a field of a provider's
own. The control is a rule that looks at nothing.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

import tokenmeter.emit.integrations.call as calls
from support.provider_answers import CHAT_USAGE, TOOL
from support.sinks import Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.call import UNREAD_MAX, Call
from tokenmeter.emit.integrations.text_chunks import only_text
from tokenmeter.emit.usage import gather
from tokenmeter.events.models import Operation

TEXT: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": "SECRET"}, "finish_reason": None}
ODD: list[dict[str, Any]] = [
    {"choices": [{**TEXT, "delta": {"tool_calls": [{**TOOL, "index": 0}]}}]},
    {"choices": [{**TEXT, "delta": {"tool_calls": [{**TOOL, "index": 1}]}}]},
    {"choices": [{**TEXT, "delta": {"function_call": {"name": "now", "arguments": ""}}}]},
    {"choices": [{**TEXT, "finish_reason": "length"}]},
    {"choices": [TEXT, {**TEXT, "index": 1, "finish_reason": "stop"}]},
    {"choices": []},
    {"choices": [TEXT], "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}},
    {"choices": [TEXT], "service_tier": "flex"},
    {"choices": [TEXT], "model": "another"},
    {"choices": [TEXT], "id": "", "model": ""},
    {"choices": [{**TEXT, "delta": {"content": "", "reasoning_content": "SECRET"}}]},
    {"choices": [TEXT], "provider": "Someone"},
]


def chunk(**told: Any) -> Any:
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [TEXT]}
    return ChatCompletionChunk.model_validate({**head, **told})


def stream(seed: int) -> list[Any]:
    """Mostly text, with odd chunks in between, and its usage at the end."""
    chance = random.Random(seed)
    made = [chunk(**(chance.choice(ODD) if chance.random() < 0.3 else {})) for _ in range(chance.randrange(1, 40))]
    return [*made, chunk(choices=[], usage=CHAT_USAGE)]


def metered(provider: str, chunks: list[Any]) -> dict[str, Any]:
    sink = Kept()
    call = Call(Meter(sink, background=False, customer_id="c"), provider, Operation.CHAT, "asked", streamed=True)
    for one in chunks:
        call.chunk(one)
    call.ended()
    return sink.events[0].model_dump() if sink.events else {}


def differences(provider: str, seed: int) -> dict[str, Any]:
    chunks = stream(seed)
    whole, event = gather(provider, chunks), metered(provider, chunks)
    expected = {**whole.quantities(), "upstream_id": whole.upstream_id, "finish_reason": whole.finish_reason}
    expected |= {"service_tier": whole.service_tier, "reported_cost": whole.reported_cost}
    return {name: (value, event.get(name)) for name, value in expected.items() if event.get(name) != value}


@pytest.mark.parametrize("provider", ["openai", "compatible", "openrouter", "deepseek", "mistral", "zhipu"])
def test_what_is_passed_over_changes_nothing(provider: str) -> None:
    assert [differences(provider, seed) for seed in range(20)] == [{}] * 20


def test_a_rule_that_looks_at_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "only_text", lambda chunk, before: True)
    assert all(differences("openai", seed) for seed in range(20))


@pytest.mark.parametrize("told", ODD)
def test_whatever_tells_more_than_text_is_read(told: dict[str, Any]) -> None:
    assert only_text(chunk(), chunk()) and not only_text(chunk(**told), chunk())


@pytest.mark.parametrize("other", [None, {}, {"choices": []}, object(), "SECRET", [1]])
def test_all_else_is_read(other: Any) -> None:
    assert not only_text(other, chunk()) and not only_text(chunk(), other)


def test_no_more_than_a_few_chunks_are_held_until_they_are_read() -> None:
    call = Call(Meter(Kept(), customer_id="c"), "openai", Operation.CHAT, "m", streamed=True)
    for number in range(10 * UNREAD_MAX):
        call.chunk(chunk(id=str(number)))
        assert len(call._unread) < UNREAD_MAX
