"""Meters the `openai` client, sync and async: ``client = metered(OpenAI(), meter)``.

The provider is known by the client's base_url, so OpenRouter, DeepSeek, vLLM and all that speak OpenAI's API are read
by their own rules. A chat stream has usage only if it is asked for: stream_options.include_usage is set unless the
caller set it, and the chunk that comes of it is hidden from a caller who did not ask. Nothing of `openai` is imported.
https://github.com/openai/openai-python, https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenmeter.emit.hosts.call import Call
from tokenmeter.emit.hosts.endpoints import (
    ASKED_FOR_USAGE,
    REFUSES_STREAM_OPTIONS,
    host_of,
    operation_at,
    provider_at,
)
from tokenmeter.emit.hosts.generated_client import RAW, UNREAD, Client, Planned, hook
from tokenmeter.emit.hosts.meter import Meter
from tokenmeter.emit.usage import family

ANY = "compatible"


def metered(client: Client, meter: Meter, *, provider: str | None = None, include_usage: bool = True) -> Client:
    """A copy of ``client`` (OpenAI, AsyncOpenAI, AzureOpenAI ...) whose calls are metered; the original is left alone.

    ``provider`` is one of tokenmeter.emit.usage.PROVIDERS, where the base_url does not tell; raises Poison for another.
    With ``include_usage=False`` requests are sent as they are, and chat streams without usage are metered as such.
    """
    named = None if provider is None else family(provider).name

    def plan(client: Any, path: str, arguments: dict[str, Any]) -> Planned | None:
        operation = operation_at(path)
        if operation is None:
            return None
        url = str(client.base_url)
        known = named or provider_at(url)
        body = arguments.get("body")
        body = body if isinstance(body, Mapping) else {}
        streamed = bool(arguments.get("stream"))
        call = Call(
            meter,
            known or ANY,
            operation,
            body.get("model"),
            name=known or host_of(url),
            streamed=streamed,
        )
        asks = streamed and include_usage and known not in REFUSES_STREAM_OPTIONS and path.endswith(ASKED_FOR_USAGE)
        if not asks or _reads_raw(arguments):
            return Planned(call, arguments)
        options = body.get("stream_options")
        if isinstance(options, Mapping) and "include_usage" in options:
            return Planned(call, arguments)
        asked = {**options, "include_usage": True} if isinstance(options, Mapping) else {"include_usage": True}
        return Planned(call, {**arguments, "body": {**body, "stream_options": asked}}, usage_alone)

    return hook(client, meter, plan)


def usage_alone(chunk: Any) -> bool:
    """Whether a chat chunk has usage and nothing else: what include_usage adds to a stream."""
    return getattr(chunk, "choices", None) == [] and getattr(chunk, "usage", None) is not None


def _reads_raw(arguments: Mapping[str, Any]) -> bool:
    # Whoever reads the bytes gets what was asked for, and nothing can be hidden there.
    headers = (arguments.get("options") or {}).get("headers") or {}
    return headers.get(RAW) == UNREAD
