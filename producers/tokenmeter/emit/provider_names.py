"""One name for one provider, whichever of its names a client, a router, a trace, a price list or a URL uses.

The names are those of LiteLLM's price list, so that a price finds its call. A name that is not known is kept as it is,
in lower case: an unknown host is named by itself.
"""

from __future__ import annotations

import re
from functools import lru_cache

ALIASES: dict[str, tuple[str, ...]] = {
    "openai": ("text-completion-openai",),
    "azure": ("azure_openai", "azure-openai", "azure.ai.openai", "az.ai.openai", "azure_text"),
    "azure_ai": ("azure.ai.inference", "az.ai.inference"),
    "gemini": (
        "google",
        "gcp.gemini",
        "gcp.gen_ai",
        "google-ai-studio",
        "google_genai",
        "google.generative-ai",
        "google-gla",
    ),
    "vertex_ai": ("vertex", "vertexai", "gcp.vertex_ai", "vertex_ai_beta", "google-vertex", "google.vertex"),
    "bedrock": ("aws.bedrock", "bedrock_converse", "amazon-bedrock", "aws_bedrock", "aws", "amazon_bedrock"),
    "mistral": ("mistral_ai", "mistralai"),
    "cohere": ("cohere_chat",),
    "moonshot": ("kimi", "moonshotai", "moonshot_ai", "moonshot-ai"),
    "zai": ("zhipu", "zhipuai", "z-ai", "z.ai", "bigmodel"),
    "dashscope": ("alibaba", "alibaba-cloud", "qwen"),
    "hosted_vllm": ("vllm",),
    "ollama": ("ollama_chat",),
    "xai": ("x_ai", "x-ai"),
    "perplexity": ("perplexity-ai",),
    "together_ai": ("together", "togetherai"),
    "fireworks_ai": ("fireworks",),
    "watsonx": ("ibm.watsonx.ai",),
    "codestral": ("text-completion-codestral",),
    "inception": ("text-completion-inception",),
}
"""The names that others use for a provider, by ours."""

HOSTS: dict[str, str] = {
    "openrouter.ai": "openrouter",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "models.ai.azure.com": "azure_ai",
    "api.openai.com": "openai",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "vertex_ai",
    "amazonaws.com": "bedrock",
    "mistral.ai": "mistral",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "moonshot.ai": "moonshot",
    "moonshot.cn": "moonshot",
    "z.ai": "zai",
    "bigmodel.cn": "zai",
    "minimax.io": "minimax",
    "minimaxi.com": "minimax",
    "aliyuncs.com": "dashscope",
    "api.x.ai": "xai",
    "api.groq.com": "groq",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.voyageai.com": "voyage",
    "api.deepinfra.com": "deepinfra",
    "api.cerebras.ai": "cerebras",
    "api.sambanova.ai": "sambanova",
    "api.novita.ai": "novita",
    "api.studio.nebius.com": "nebius",
    "integrate.api.nvidia.com": "nvidia_nim",
    "router.huggingface.co": "huggingface",
    "ai-gateway.vercel.sh": "vercel_ai_gateway",
    "volces.com": "volcengine",
}
"""Whose a host is, by the end of its name."""

_BY_ALIAS = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
# Of one provider's several ways: vertex_ai-anthropic_models, vertex_ai-language-models.
_WAY = re.compile(r"-[a-z0-9-]*[_-]?models$")
# Of the AI SDK: openai.responses, google.vertex.chat.
_SDK_WAY = re.compile(r"\.(chat|responses|completion|messages|embedding|image|transcription|speech|generative-ai)$")


@lru_cache(4096)
def provider_name(provider: str) -> str:
    """Our name of the provider that ``provider`` names, or of whose host it is."""
    name = provider.strip().lower()
    known = _BY_ALIAS.get(name)
    if known is not None:
        return known
    host = provider_at_host(name)
    if host is not None:
        return host
    plain = _SDK_WAY.sub("", _WAY.sub("", name).removesuffix("-language"))
    return _BY_ALIAS.get(plain, plain)


def provider_at_host(host: str) -> str | None:
    """Our name of the provider whose a host is; None if it is nobody's we know."""
    # vertex: us-central1-aiplatform.googleapis.com
    return next((HOSTS[end] for end in HOSTS if host == end or host.endswith(("." + end, "-" + end))), None)
