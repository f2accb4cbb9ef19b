"""Meters the `openai` client, sync and async: ``client = metered(OpenAI(), meter)``.

The provider is known by the client's base_url, so OpenRouter, DeepSeek, vLLM and all that speak OpenAI's API are read
by their own rules. A chat stream has usage only if it is asked for: stream_options.include_usage is set unless the
caller set it, and the chunk that comes of it is hidden from a caller who did not ask; a server that refuses to be asked
gets the request as the caller wrote it (see asking). Nothing of `openai` is imported.
https://github.com/openai/openai-python, https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tokenmeter.emit.integrations.asking import ADDED, Places, Question, asking
from tokenmeter.emit.integrations.background_responses import BackgroundCall, BackgroundResponses, response_id
from tokenmeter.emit.integrations.call import Call
from tokenmeter.emit.integrations.endpoints import ASKED_FOR_USAGE, TELLS_UNASKED, host_of, operation_at, provider_at
from tokenmeter.emit.integrations.generated_client import RAW, UNREAD, Client, hook
from tokenmeter.emit.integrations.meter import Meter
from tokenmeter.emit.integrations.planned import Planned
from tokenmeter.emit.integrations.watched_streams import watch
from tokenmeter.emit.usage import family
from tokenmeter.events.models import Operation

ANY = "compatible"
_OTHER_SHAPES = ("anthropic", "bedrock", "cohere", "gemini", "vertex")
"""Families whose own shape is another than the one in which they answer this client."""


def metered(client: Client, meter: Meter, *, provider: str | None = None, include_usage: bool = True) -> Client:
    """A copy of ``client`` (OpenAI, AsyncOpenAI, AzureOpenAI ...) whose calls are metered; the original is left alone.

    ``provider`` is one of tokenmeter.emit.usage.PROVIDERS, where the base_url does not tell; raises Poison for another.
    With ``include_usage=False`` requests are sent as they are, and chat streams without usage are metered as such.
    """
    named = None if provider is None else family(provider).name
    places, responses = Places(), BackgroundResponses()
    background = partial(BackgroundCall, responses)

    def begin(
        url: str, operation: Operation, model: Any, streamed: bool = False, made: Callable[..., Call] = Call
    ) -> Call:
        known = named or provider_at(url)
        shape = ANY if known is None or known in _OTHER_SHAPES else known
        return made(meter, shape, operation, model, name=known or host_of(url), streamed=streamed)

    def ask(client: Any, url: str, body: Mapping[str, Any]) -> tuple[dict[str, Any] | None, Question | None]:
        """The body that asks for usage, and the question that it puts; None where nothing is to be asked."""
        if (named or provider_at(url)) in TELLS_UNASKED:
            return None, None
        # Azure's api-version is part of the place: it decides which fields are known.
        question = places.question((url, client.default_query.get("api-version"), body.get("model")))
        return (None if question is None else asking(body)), question

    def plan(client: Any, path: str, arguments: dict[str, Any]) -> Planned | None:
        operation = operation_at(path)
        if operation is None:
            return None
        body = arguments.get("body")
        body = body if type(body) is dict or isinstance(body, Mapping) else {}
        url, streamed = str(client.base_url), bool(arguments.get("stream"))
        asked, question = None, None
        if streamed and include_usage and path.endswith(ASKED_FOR_USAGE) and not _speaks_for_itself(arguments):
            asked, question = ask(client, url, body)
        made = background if operation is Operation.RESPONSE and body.get("background") is True else Call
        call = begin(url, operation, body.get("model"), streamed, made)
        if asked is not None:
            return Planned(call, {**arguments, "body": asked}, _unasked, question, arguments)
        if operation is Operation.RESPONSE:
            return Planned(call, arguments, settle=responses.created)
        return Planned(call, arguments)

    def follow(client: Any, path: str, arguments: dict[str, Any]) -> Callable[[Any], None] | None:
        identity = response_id(path)
        if identity is None:
            return None
        if arguments.get("stream"):
            resumed = responses.resumed(identity)
            return None if resumed is None else lambda stream: watch(stream, Planned(resumed, arguments))
        url = str(client.base_url)
        return lambda answer: responses.fetched(lambda model: begin(url, Operation.RESPONSE, model), answer)

    return hook(client, meter, plan, follow)


def _unasked(chunk: Any) -> bool:
    """Whether a chunk is there only because we asked: it has usage and nothing else. Every other chunk is made what it
    would have been: whoever asks gets ``usage: null`` in each."""
    usage = getattr(chunk, "usage", None)
    if usage is not None:
        return getattr(chunk, "choices", None) == []
    told = getattr(chunk, "model_fields_set", None)
    if told is not None:
        told.discard("usage")
    return False


def _speaks_for_itself(arguments: Mapping[str, Any]) -> bool:
    # Whoever reads the bytes gets what was asked for, and nothing can be hidden there; extra_body has the last word.
    options = arguments.get("options") or {}
    return (options.get("headers") or {}).get(RAW) == UNREAD or ADDED in (options.get("extra_json") or {})
