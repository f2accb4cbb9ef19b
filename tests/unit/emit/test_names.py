"""One provider and one model have one name, however they are called: so the price of a call finds it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tokenmeter.emit.integrations.endpoints import provider_at
from tokenmeter.emit.integrations.meter import Ended, Meter
from tokenmeter.emit.model_names import event_model, served
from tokenmeter.emit.provider_names import ALIASES, HOSTS, provider_name
from tokenmeter.emit.usage import FAMILIES, Usage, family
from tokenmeter.events import UsageEvent
from tokenmeter.events.models import Operation

SAME_PROVIDER = [
    (
        "bedrock",
        ["aws.bedrock", "bedrock_converse", "Amazon-Bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "AWS"],
    ),
    ("cohere", ["cohere_chat", "Cohere", "api.cohere.com"]),
    ("moonshot", ["kimi", "moonshotai", "Moonshot-AI", "api.moonshot.cn"]),
    ("vertex_ai", ["vertex", "gcp.vertex_ai", "vertex_ai-anthropic_models", "us-central1-aiplatform.googleapis.com"]),
    ("gemini", ["google", "gcp.gemini", "google.generative-ai", "generativelanguage.googleapis.com"]),
    ("azure", ["azure.ai.openai", "azure_openai", "mine.openai.azure.com"]),
    ("mistral", ["MistralAI", "mistral_ai", "mistral.chat", "api.mistral.ai"]),
    ("zai", ["zhipu", "z-ai", "bigmodel", "open.bigmodel.cn"]),
    ("openai", ["openai.responses", "text-completion-openai", "api.openai.com"]),
    ("xai", ["x_ai", "x-ai", "xai.chat", "api.x.ai"]),
    ("groq", ["Groq", "api.groq.com"]),
    ("api.example.com", ["API.example.com"]),
]


@pytest.mark.parametrize(("name", "others"), SAME_PROVIDER)
def test_a_provider_has_one_name(name: str, others: list[str]) -> None:
    assert {provider_name(other) for other in (name, *others)} == {name}


def test_no_name_is_two_providers_and_a_name_stays_when_it_is_named_again() -> None:
    spelled = [alias for aliases in ALIASES.values() for alias in aliases]
    assert len(spelled) == len(set(spelled)) and not set(spelled) & set(ALIASES)
    assert all(provider_name(name) == name for name in (*ALIASES, *HOSTS.values()))


def test_every_alias_of_a_family_is_that_family() -> None:
    for known in FAMILIES:
        ours = provider_name(known.name)
        assert {family(alias).name for alias in (known.name, ours, *ALIASES.get(ours, ()))} == {known.name}


@pytest.mark.parametrize(
    ("provider", "told", "model"),
    [
        ("moonshot", "kimi-k2", "moonshotai/kimi-k2"),
        ("moonshot", "moonshot/kimi-k2", "moonshotai/kimi-k2"),
        ("compatible", "moonshot/kimi-k2", "moonshotai/kimi-k2"),
        ("cohere_chat", "command-r-08-2024", "cohere/command-r-08-2024"),
        ("cohere", "cohere_chat/command-r-08-2024", "cohere/command-r-08-2024"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4-5-20250929"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic/claude-sonnet-4-5-20250929",
        ),
        ("bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "amazon/nova-lite"),
        ("vertex", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gemini", "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("litellm", "gemini/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("litellm", "azure/gpt-4o", "openai/gpt-4o"),
        ("perplexity", "perplexity/sonar-deep-research", "perplexity/sonar-deep-research"),
        ("deepinfra", "Qwen/Qwen3-32B", "qwen/qwen3-32b"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("openrouter", "openrouter/auto", "openrouter/auto"),
        ("openrouter", "groq/compound", "groq/compound"),
        ("groq", "groq/compound", "groq/compound"),
        ("litellm", "groq/llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-versatile"),
        ("litellm", "openrouter/anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("api.groq.com", "llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-versatile"),
        ("api.example.com", "m", "m"),
        ("vllm", "my-tune", "my-tune"),
    ],
)
def test_a_model_has_one_name(provider: str, told: str, model: str) -> None:
    assert event_model(provider, told) == model
    assert event_model(provider, model) == model, "a name stays when it is named again"


CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PRICED = [
    ("bedrock_converse", f"us.{CLAUDE}", "aws.bedrock", CLAUDE),
    ("cohere_chat", "command-r-08-2024", "cohere", "command-r-08-2024"),
    ("vertex_ai-language-models", "gemini-2.5-flash", "vertex", "gemini-2.5-flash"),
    ("moonshot", "moonshot/kimi-k2", "api.moonshot.ai", "kimi-k2"),
    ("zai", "zai/glm-4.6", "zhipu", "glm-4.6"),
    ("xai", "xai/grok-4", "api.x.ai", "grok-4"),
    ("mistral", "mistral/mistral-large-latest", "MistralAI", "mistral-large-latest"),
]
"""Provider and key of a price list; provider and model as a client tells them."""


def names_in_event(provider: str, model: str, **options: Any) -> tuple[str, str]:
    events: list[UsageEvent] = []

    class Kept:
        def emit_many(self, made: Sequence[UsageEvent]) -> None:
            events.extend(made)

    fields = {"customer_id": "c", "occurred_at": datetime.now(UTC), "operation": Operation.CHAT, "status": 200}
    Meter(Kept(), background=False, **options).record(Ended(fields, lambda: Usage(model=model), provider))
    return events[0].provider, events[0].model


@pytest.mark.parametrize(("listed", "key", "called", "told"), PRICED)
def test_the_price_of_a_list_has_the_names_of_the_event(listed: str, key: str, called: str, told: str) -> None:
    price = served(listed, key)
    assert names_in_event(called, told) == (price.provider, price.model)


def test_a_model_that_is_named_as_it_comes_misses_its_price() -> None:
    """The control: without one name for a thing the prices above are not found."""
    found = [names_in_event(called, told, naming=lambda _, model: model) for _, _, called, told in PRICED]
    assert not {served(listed, key).model for listed, key, _, _ in PRICED} & {model for _, model in found}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.x.ai/v1", "xai"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "vertex"),
        ("https://mine.openai.azure.com/openai", "azure"),
        ("https://api.deepinfra.com/v1/openai", None),
        ("https://notmistral.ai/v1", None),
        ("http://localhost:11434/v1", "ollama"),
    ],
)
def test_a_host_is_its_providers(url: str, found: str | None) -> None:
    assert provider_at(url) == found
