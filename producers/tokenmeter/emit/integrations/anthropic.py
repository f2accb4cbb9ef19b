"""Meters the `anthropic` client, sync and async: ``client = metered(Anthropic(), meter)``.

Also AnthropicBedrock and AnthropicVertex, and others' endpoints that speak the messages API. A stream tells its input
tokens first and its output tokens last, so one that is cut has its exact input. Nothing of `anthropic` is imported.
https://github.com/anthropics/anthropic-sdk-python, https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenmeter.emit.integrations.call import Call
from tokenmeter.emit.integrations.endpoints import host_of, operation_at, provider_at
from tokenmeter.emit.integrations.generated_client import Client, hook
from tokenmeter.emit.integrations.meter import Meter
from tokenmeter.emit.integrations.planned import Planned
from tokenmeter.emit.usage import family

SHAPE = "anthropic"


def metered(client: Client, meter: Meter, *, provider: str | None = None) -> Client:
    """A copy of ``client`` whose calls are metered; the original is left alone.

    ``provider`` names who serves where the base_url does not tell; raises Poison for a name that nobody has.
    """
    named = None if provider is None else family(provider).name

    def plan(client: Any, path: str, arguments: dict[str, Any]) -> Planned | None:
        operation = operation_at(path)
        if operation is None:
            return None
        body = arguments.get("body")
        url = str(client.base_url)
        call = Call(
            meter,
            SHAPE,
            operation,
            body.get("model") if isinstance(body, Mapping) else None,
            name=named or provider_at(url) or host_of(url),
            streamed=bool(arguments.get("stream")),
        )
        return Planned(call, arguments)

    return hook(client, meter, plan)
