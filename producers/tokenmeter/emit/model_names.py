"""One name for one model: ``author/slug``, whoever serves it and however the host spells it.

A price list and an event must meet in one name. The drop-ins name models by ``event_model`` unless they are given a
``naming=`` of their own; the price importers use ``served``, which tells host and region of a price list's key:

    gemini/gemini-2.5-pro                               gemini        google/gemini-2.5-pro
    azure/eu/gpt-4o                                     azure         openai/gpt-4o               region eu
    us.anthropic.claude-sonnet-4-5-20250929-v1:0        bedrock       anthropic/claude-sonnet-4-5-20250929   region us
    vercel_ai_gateway/zai/glm-4.6                       vercel_ai_gateway   z-ai/glm-4.6
    fireworks_ai/accounts/fireworks/models/kimi-k2p5    fireworks_ai  moonshotai/kimi-k2p5

The slug is the host's own in lower case: ``claude-sonnet-4-5`` and ``claude-sonnet-4.5`` stay two names, for nobody but
their author can say that they are one model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tokenmeter.emit.provider_names import provider_name

AUTHORS: dict[str, str] = {
    "deepseek-ai": "deepseek",
    "zai-org": "z-ai",
    "zai": "z-ai",
    "thudm": "z-ai",
    "zhipu": "z-ai",
    "alibaba": "qwen",
    "xai": "x-ai",
    "mistral": "mistralai",
    "meta": "meta-llama",
    "meta-textgeneration": "meta-llama",
    "moonshot": "moonshotai",
    "minimaxai": "minimax",
    "xiaomimimo": "xiaomi",
    "ai21labs": "ai21",
    "ibm-granite": "ibm",
    "stabilityai": "stability",
    "black_forest_labs": "black-forest-labs",
}
"""What a host writes before the slash, where it is not the author's name as events have it."""

FAMILIES: tuple[tuple[str, str], ...] = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("gpt3", "openai"),
    ("chatgpt", "openai"),
    ("codex", "openai"),
    ("computer-use", "openai"),
    ("dall-e", "openai"),
    ("davinci", "openai"),
    ("babbage", "openai"),
    ("omni-moderation", "openai"),
    ("text-moderation", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("tts-1", "openai"),
    ("whisper", "openai"),
    ("sora", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "google"),
    ("gemma", "google"),
    ("imagen", "google"),
    ("veo-", "google"),
    ("lyria", "google"),
    ("medlm", "google"),
    ("chirp", "google"),
    ("text-bison", "google"),
    ("text-unicorn", "google"),
    ("text-embedding-0", "google"),
    ("text-multilingual-embedding", "google"),
    ("multimodalembedding", "google"),
    ("llama", "meta-llama"),
    ("meta-llama", "meta-llama"),
    ("code-llama", "meta-llama"),
    ("codellama", "meta-llama"),
    ("mistral", "mistralai"),
    ("mixtral", "mistralai"),
    ("ministral", "mistralai"),
    ("codestral", "mistralai"),
    ("devstral", "mistralai"),
    ("magistral", "mistralai"),
    ("pixtral", "mistralai"),
    ("voxtral", "mistralai"),
    ("open-mi", "mistralai"),
    ("qwen", "qwen"),
    ("qwq", "qwen"),
    ("qvq", "qwen"),
    ("wan2", "qwen"),
    ("wan3", "qwen"),
    ("deepseek", "deepseek"),
    ("kimi", "moonshotai"),
    ("moonshot", "moonshotai"),
    ("glm", "z-ai"),
    ("chatglm", "z-ai"),
    ("minimax", "minimax"),
    ("grok", "x-ai"),
    ("command", "cohere"),
    ("c4ai", "cohere"),
    ("embed-", "cohere"),
    ("rerank-v", "cohere"),
    ("rerank-english", "cohere"),
    ("rerank-multilingual", "cohere"),
    ("nova-", "amazon"),
    ("titan", "amazon"),
    ("phi-", "microsoft"),
    ("mai-", "microsoft"),
    ("nemotron", "nvidia"),
    ("doubao", "bytedance"),
    ("seed", "bytedance"),
    ("ernie", "baidu"),
    ("hunyuan", "tencent"),
    ("hy3", "tencent"),
    ("hy4", "tencent"),
    ("step-", "stepfun"),
    ("mimo", "xiaomi"),
    ("jamba", "ai21"),
    ("j2-", "ai21"),
    ("sonar", "perplexity"),
    ("pplx", "perplexity"),
    ("granite", "ibm"),
    ("hermes", "nousresearch"),
    ("lfm", "liquid"),
    ("palmyra", "writer"),
    ("dbrx", "databricks"),
    ("voyage", "voyage"),
    ("jina", "jina"),
    ("mercury", "inception"),
    ("muse-", "meta"),
    ("flux", "black-forest-labs"),
    ("stable-", "stability"),
    ("sd3", "stability"),
)
"""How the slugs of an author's models begin, for hosts that name no author."""

_HOST_AUTHORS: dict[str, str] = {
    "mistral": "mistralai",
    "moonshot": "moonshotai",
    "zai": "z-ai",
    "bigmodel": "z-ai",
    "zhipu": "z-ai",
    "xai": "x-ai",
    "dashscope": "qwen",
    "alibaba": "qwen",
    "gemini": "google",
    "vertex_ai": "google",
    "azure": "openai",
    "chatgpt": "openai",
    "codestral": "mistralai",
    "meta_llama": "meta-llama",
    "amazon_nova": "amazon",
    "aws_polly": "amazon",
    "volcengine": "bytedance",
    "xiaomi_mimo": "xiaomi",
    "jina_ai": "jina",
    "v0": "vercel",
    "black_forest_labs": "black-forest-labs",
}
_HOSTING = (
    "bedrock",
    "bedrock_converse",
    "vertex_ai",
    "gemini",
    "azure",
    "azure_ai",
    "cohere_chat",
    "hosted_vllm",
    "ollama",
    "ollama_chat",
    "together_ai",
    "fireworks_ai",
    "deepinfra",
    "litellm_proxy",
)
"""What routers write before a model to say where it runs, and is nobody's name who writes models."""
_AUTHORS_AND_HOSTS = ("openrouter", "groq")
"""They have models of their own as well, groq/compound: of others the name of who wrote them follows."""
_NOBODY = ("unknown", "compatible", "litellm", "otel", "hosted_vllm", "ollama", "localhost")
_REGION_SEGMENT = re.compile(r"^(us|us-gov|eu|apac|in|global|global-standard|data-zone|[a-z]{2}(-gov)?-[a-z]+-\d)$")
_REGION_PREFIX = re.compile(r"^(us-gov|us|eu|apac|au|jp|ca|global)\.(?=[a-z0-9]+\.)")
_DOTTED = re.compile(r"^([a-z0-9]+)\.(?=[a-z])")
_DATABRICKS = re.compile(r"^databricks-(?!dbrx)")
_VERSION_OF_HOSTING = re.compile(r"-v\d+:\d+(:[0-9a-z]+)?$|:\d+$")
_AT_DATE = re.compile(r"@(?=\d)")
_AUTHOR_IN_SLUG = re.compile(r"^(anthropic|openai|alibaba|meta|google|mistral|deepseek)-(?=[a-z])")
_ARN = re.compile(r"^arn:[^/]+/(.*/)?")
_PATHS = (
    "models/",
    "publishers/google/models/",
    "accounts/fireworks/models/",
    "accounts/fireworks/routers/",
    "claude_platform/",
    "invoke/",
    "@cf/",
    "@oi/",
)


@dataclass(frozen=True)
class Served:
    """A model at a host. ``region`` is what a price list's key says of where it runs, which events do not."""

    provider: str
    model: str
    region: str | None = None


def served(provider: str, key: str) -> Served:
    """Host, model and region of a price list's ``key``; ``provider`` is the host as the list names it."""
    host = provider_name(provider)
    name = key
    for prefix in dict.fromkeys((provider, host, host.replace("_", "-"), *_HOSTING)):
        name = name.removeprefix(f"{prefix}/")
    head, slash, rest = name.partition("/")
    if slash and head in _AUTHORS_AND_HOSTS and ("/" in rest or _family(rest.lower()) is not None):
        name = rest
    region = None
    head, slash, rest = name.partition("/")
    if slash and _REGION_SEGMENT.match(head.lower()):
        region, name = head.lower(), rest
    if (found := _REGION_PREFIX.match(name)) is not None:
        region, name = found[1], name[found.end() :]
    return Served(host, model_name(host, name), region)


@lru_cache(4096)
def event_model(provider: str, name: str) -> str:
    """``author/slug`` of the model that an answer names, whatever its host or a router wrote before it or around it."""
    return served(provider, _ARN.sub("", name)).model


def model_name(provider: str, name: str) -> str:
    """``author/slug`` of a model as its host names it; the slug alone where nothing says who wrote it."""
    slug = name.lower()
    for path in _PATHS:
        slug = slug.removeprefix(path)
    slug = _AT_DATE.sub("-", slug.removesuffix("@default").removesuffix("-maas"))
    author: str | None
    author, slash, rest = slug.partition("/")
    if not slash and (dotted := _DOTTED.match(slug)) is not None and provider in ("bedrock", "bedrock_mantle", "oci"):
        author, slash, rest = dotted[1], "/", slug[dotted.end() :]
    if not slash:
        rest = _DATABRICKS.sub("", slug)
        author = _family(rest)
        if author is None:  # some hosts write openai-gpt-4o
            stripped = _AUTHOR_IN_SLUG.sub("", rest)
            author = _family(stripped)
            rest = rest if author is None else stripped
        author = author or _HOST_AUTHORS.get(provider, provider)
        if author in _NOBODY or "." in author or ":" in author:
            return rest
    if provider in ("bedrock", "bedrock_mantle"):
        rest = _VERSION_OF_HOSTING.sub("", rest)
    return f"{AUTHORS.get(author, author)}/{rest}"


def _family(slug: str) -> str | None:
    return next((author for start, author in FAMILIES if slug.startswith(start)), None)
