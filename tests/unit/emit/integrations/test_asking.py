"""Which streams are asked for their usage, and when a refused request is made again: each row of asking's table."""

from __future__ import annotations

from typing import Any

import pytest

from tokenmeter.emit.integrations.asking import PLACES_MAX, Places, asking
from tokenmeter.emit.integrations.endpoints import provider_at
from tokenmeter.emit.integrations.litellm_kwargs import takes_question

NAMED = "Validation error at #/stream_options: Extra inputs are not permitted"


def test_an_unknown_place_is_asked_and_any_refusal_of_it_is_tried_without() -> None:
    question = Places().question("host")
    assert question is not None
    assert question.refused_by(400, "bad request") and question.refused_by(422, "")
    assert question.refused_by(500, NAMED) and question.refused_by(None, "no such field: include_usage")
    assert not any(question.refused_by(status, "no") for status in (None, 401, 403, 404, 408, 429, 500, 503))


def test_a_place_that_took_it_is_believed_when_it_names_another_fault() -> None:
    places = Places()
    first = places.question("host")
    assert first is not None
    first.taken()
    again = places.question("host")
    assert again is not None and not again.refused_by(400, "context_length_exceeded")
    assert again.refused_by(400, NAMED), "another request of the same model may not go with it"


def test_a_place_that_refuses_is_not_asked_again_and_its_neighbours_are() -> None:
    places = Places()
    question = places.question(("host", "mistral"))
    assert question is not None
    question.needless()
    assert places.question(("host", "mistral")) is None
    assert places.question(("host", "gpt")) is not None and places.question(("other", "mistral")) is not None


def test_the_memory_is_bounded() -> None:
    places = Places()
    for number in range(PLACES_MAX + 1):
        places.learn(number, False)
    assert places.question(0) is not None and places.question(1) is None


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_obfuscation": False}}, {"include_obfuscation": False, "include_usage": True}),
        ({"stream_options": {"include_usage": False}}, None),
        ({"stream_options": {"include_usage": True}}, None),
    ],
)
def test_what_the_caller_said_has_the_last_word(said: dict[str, Any], sent: dict[str, Any] | None) -> None:
    body = {"model": "m", **said}
    asked = asking(body)
    assert asked == (None if sent is None else {"model": "m", "stream_options": sent})
    assert body == {"model": "m", **said}, "the caller's own is left alone"


@pytest.mark.parametrize(
    ("kwargs", "asked"),
    [
        ({"model": "openai/gpt-5"}, True),
        ({"model": "gpt-5", "custom_llm_provider": "openai"}, True),
        ({"model": "openai/x", "api_base": "https://api.openai.com/v1"}, True),
        ({"model": "openai/x", "api_base": "http://10.0.0.7:8000/v1"}, False),
        ({"model": "openai/x", "api_base": "http://ours.example:8000/v1"}, True),
        ({"model": "openai/x", "api_base": "https://api.mistral.ai/v1"}, False),
        ({"model": "mistral/mistral-large-latest"}, False),
        ({"model": "mistral/x", "api_base": "http://ours.example/v1"}, False),
        ({"model": "anthropic/claude", "api_base": "http://ours.example"}, False),
        ({"model": "hosted_vllm/llama", "api_base": "http://10.0.0.7:8000/v1"}, True),
        ({"model": "deepseek/deepseek-chat"}, True),
        ({"model": "azure_ai/mistral-small", "api_base": "https://x.services.ai.azure.com"}, False),
        ({"model": "azure/gpt", "api_base": "https://x.openai.azure.com"}, True),
        ({"model": "azure/gpt", "api_version": "2024-02-01"}, False),
        ({"model": "azure/gpt", "api_version": "2024-09-01-preview"}, True),
        ({"model": "azure/gpt", "api_version": "preview"}, True),
        ({"model": "nobody-knows/x"}, False),
        ({"model": "gpt-5"}, False),
    ],
)
def test_litellm_is_asked_only_where_it_is_known_to_be_taken(kwargs: dict[str, Any], asked: bool) -> None:
    """Nobody can make a call again for LiteLLM's caller: there is no trying."""
    assert takes_question(kwargs, {"ours.example"}, {}) is asked


def test_litellm_is_not_asked_where_the_environment_sends_it() -> None:
    kwargs = {"model": "openai/gpt-5"}
    assert not takes_question(kwargs, (), {"OPENAI_BASE_URL": "http://10.0.0.7/v1"})
    assert takes_question(kwargs, (), {"OPENAI_BASE_URL": "https://api.openai.com/v1"})
    assert not takes_question({"model": "azure/gpt"}, (), {"AZURE_API_VERSION": "2024-02-01"})


def test_addresses_of_the_recorded_cases() -> None:
    assert provider_at("https://api.anthropic.com/v1/") == "anthropic"
    assert provider_at("https://api.openai.com/v1") == "openai"
