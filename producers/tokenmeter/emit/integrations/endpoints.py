"""What a URL tells of a call: who serves there, and what is asked. Pure."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from tokenmeter.emit.provider_names import provider_at_host
from tokenmeter.emit.usage import family
from tokenmeter.events.errors import Poison
from tokenmeter.events.models import Operation

OLLAMA_PORT = 11_434
URLS_MAX = 1_000
"""URLs and paths whose meaning is remembered: it is asked for with every call."""

_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("/chat/completions", Operation.CHAT),
    ("/completions", Operation.COMPLETION),
    ("/responses", Operation.RESPONSE),
    ("/responses/compact", Operation.RESPONSE),
    ("/messages", Operation.CHAT),
    ("/embeddings", Operation.EMBEDDING),
    ("/rerank", Operation.RERANK),
    ("/images/generations", Operation.IMAGE),
    ("/images/edits", Operation.IMAGE),
    ("/audio/transcriptions", Operation.AUDIO),
    ("/audio/translations", Operation.AUDIO),
    ("/audio/speech", Operation.AUDIO),
)
ASKED_FOR_USAGE: tuple[str, ...] = ("/chat/completions", "/completions")
"""Where a stream has usage only if stream_options asks for it."""
TELLS_UNASKED: tuple[str, ...] = ("mistral", "cohere", "anthropic", "openrouter")
"""They tell the usage of every stream: nobody asks them, and nothing they tell is hidden."""


@lru_cache(URLS_MAX)
def provider_at(url: str) -> str | None:
    """The provider family that serves at ``url``, or None if the host is nobody's whose answers we know."""
    parts = urlsplit(url)
    name = provider_at_host(parts.hostname or "")
    if name is None:
        return "ollama" if parts.port == OLLAMA_PORT else None
    try:
        return family(name).name
    except Poison:
        return None


@lru_cache(URLS_MAX)
def host_of(url: str) -> str:
    """The host, to name a provider that nobody knows by."""
    return urlsplit(url).hostname or "unknown"


@lru_cache(URLS_MAX)
def operation_at(path: str) -> Operation | None:
    """What a POST to ``path`` asks of a model, or None where it asks nothing that is metered."""
    plain = path.split("?", 1)[0].rstrip("/")
    return next((operation for suffix, operation in _OPERATIONS if plain.endswith(suffix)), None)
