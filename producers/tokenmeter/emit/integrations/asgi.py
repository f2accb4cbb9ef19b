"""Meters an OpenAI-compatible gateway: ``app = MeterMiddleware(app, meter, identify=...)``, any ASGI 3 framework.

Whoever calls the gateway is metered for what the gateway answers, JSON or server-sent events. A chat stream has usage
only if it is asked for, so the request that reaches the app asks for it, and the event that comes of it is taken out
of the answer again unless the caller asked himself. Bytes are otherwise passed on untouched, and read after they were
sent. An app that refuses to be asked is called again with the request as its caller wrote it (see asking). A caller who
hangs up has cut the call. https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from tokenmeter.emit.integrations.asking import Places, Question, asking
from tokenmeter.emit.integrations.call import Call
from tokenmeter.emit.integrations.endpoints import ASKED_FOR_USAGE, operation_at
from tokenmeter.emit.integrations.meter import Meter
from tokenmeter.emit.integrations.server_events import EventSplitter, payload
from tokenmeter.emit.integrations.tap import EVENTS_TYPE, Tap
from tokenmeter.emit.usage import family
from tokenmeter.events.errors import Poison
from tokenmeter.events.models import Operation

REQUEST_BYTES_MAX = 8 << 20
"""Of a larger body the rest is passed on unread; it is then no JSON to us."""
REFUSAL_BYTES_MAX = 64 << 10
"""A longer error is not held back until it is whole: it is the caller's own."""
_NO_USAGE = re.compile(rb'(?:,\s*"usage"\s*:\s*null(?=\s*[,}]))|(?:"usage"\s*:\s*null\s*,\s*)')
_FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,256})\r\n')

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Identify = Callable[[Scope], Mapping[str, Any] | None]


class MeterMiddleware:
    """``identify`` tells the attributes of a request (customer_id and the like) from its scope; it must not block.

    What it returns goes before what the meter says. ``provider`` is the shape that the app answers in. Requests that
    are no POST to a metered path (/chat/completions, /responses, /embeddings, /messages ...) pass untouched.
    """

    def __init__(
        self,
        app: App,
        meter: Meter,
        *,
        identify: Identify | None = None,
        provider: str = "compatible",
        include_usage: bool = True,
    ) -> None:
        self._app = app
        self._meter = meter
        self._identify = identify
        self._provider = family(provider).name
        self._include_usage = include_usage
        self._places = Places()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = operation_at(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if operation is None:
            await self._app(scope, receive, send)
            return
        body, messages = await _body(receive)
        exchange = self._begin(scope, operation, body)
        if exchange is None:
            await self._app(scope, _replayed(messages, receive), send)
            return
        try:
            if exchange.body is not None:
                asking_scope = {**scope, "headers": _with_length(scope["headers"], len(exchange.body))}
                asking_messages: list[Message] = [{"type": "http.request", "body": exchange.body, "more_body": False}]
                await self._run(asking_scope, asking_messages, receive, send, exchange)
            if exchange.body is None:
                await self._run(scope, messages, receive, send, exchange)
        except BaseException as error:
            exchange.call.failed(error)
            raise
        # An app that stops before the end of its answer was left by its caller.
        exchange.call.cancel()

    async def _run(
        self, scope: Scope, messages: list[Message], receive: Receive, send: Send, exchange: Exchange
    ) -> None:
        await self._app(scope, exchange.watched(_replayed(messages, receive)), exchange.sending(send))

    def _begin(self, scope: Scope, operation: Operation, body: bytes) -> Exchange | None:
        try:
            request = _document(body)
            streamed = request.get("stream") is True
            model = request.get("model")
            call = Call(
                self._meter,
                self._provider,
                operation,
                model if isinstance(model, str) else None,
                streamed=streamed,
                **(self._identify(scope) or {} if self._identify else {}),
            )
        except Exception as error:
            self._meter.lose(error)
            return None
        path = scope["path"].rstrip("/")
        question = asked = None
        if streamed and self._include_usage and path.endswith(ASKED_FOR_USAGE):
            question = self._places.question((path, model if isinstance(model, str) else None))
            asked = asking(request) if question is not None else None
        return Exchange(call) if asked is None else Exchange(call, json.dumps(asked).encode(), question)


class Exchange:
    """One request and its answer. ``body`` is the request's body that asks for usage as well, by ``question``; it is
    None where nobody is asked, and as soon as the app has refused it."""

    def __init__(self, call: Call, body: bytes | None = None, question: Question | None = None) -> None:
        self.call = call
        self.body = body
        self._question = question
        self._refusal: list[Message] = []
        self._tap: Tap | None = None
        self._splitter: EventSplitter | None = None
        self._inflate: Any = None

    def watched(self, receive: Receive) -> Receive:
        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.call.cancel()
            return message

        return receiving

    def sending(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if self._holds(message):
                for held in self._judged(message):
                    await passing(held)
            else:
                await passing(message)

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._start(message)
                await send(message)
            elif message["type"] != "http.response.body" or self._tap is None:
                await send(message)
            elif self._splitter is not None:
                await send({**message, "body": self._without_usage(message)})
                self._end(message)
            else:
                await send(message)
                self._feed(message.get("body", b""))
                self._end(message)

        return sending

    def _holds(self, message: Message) -> bool:
        """Whether an answer to what we ask is an error, of which nobody may hear before it is judged."""
        if self._question is None or self.body is None:
            return False
        return bool(self._refusal) or (message["type"] == "http.response.start" and message["status"] >= 400)

    def _judged(self, message: Message) -> list[Message]:
        """The messages of an error that the caller shall have, once it is whole; none if the app is to be called again
        without our question."""
        assert self._question is not None
        self._refusal.append(message)
        told = b"".join(held.get("body", b"") for held in self._refusal)
        if message["type"] == "http.response.start" or (message.get("more_body") and len(told) < REFUSAL_BYTES_MAX):
            return []
        held, self._refusal = self._refusal, []
        if not message.get("more_body") and self._question.refused_by(held[0]["status"], told.decode("latin-1")):
            self.body = None
            return []
        self._question = None
        return held

    def _learn(self, status: int) -> None:
        if self._question is not None and status < 400:
            self._question.needless() if self.body is None else self._question.taken()

    def _start(self, message: Message) -> None:
        self._learn(message["status"])
        headers = {name.lower(): value.decode("latin-1") for name, value in message.get("headers", ())}
        kind, encoding = headers.get(b"content-type", ""), headers.get(b"content-encoding", "identity").lower()
        self._tap = Tap(self.call, kind, message["status"])
        if encoding in ("gzip", "deflate"):
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif encoding not in ("", "identity"):
            self.call.abandoned(Poison("usage_shape", f"an answer encoded as {encoding} cannot be read"))
            self._tap = None
        elif self.body is not None and kind.lower().startswith(EVENTS_TYPE):
            self._splitter = EventSplitter()

    def _feed(self, data: bytes) -> None:
        if self._tap is None:
            return
        try:
            self._tap.feed(self._inflate.decompress(data) if self._inflate else data)
        except zlib.error as error:
            self.call.abandoned(error)

    def _without_usage(self, message: Message) -> bytes:
        """The events that this message completes, without the one that only we asked for."""
        assert self._splitter is not None and self._tap is not None
        kept = bytearray()
        for event in self._splitter.feed(message.get("body", b"")):
            found = self._tap.event(event)
            if not isinstance(found, dict) or "usage" not in found:
                kept += event
            elif found["usage"] is None:
                kept += _unmarked(event, found)
            elif found.get("choices") != []:
                kept += event
        if not message.get("more_body", False):
            kept += self._splitter.rest()
        return bytes(kept)

    def _end(self, message: Message) -> None:
        if self._tap is not None and not message.get("more_body", False):
            self._tap.end()


def _unmarked(event: bytes, found: dict[str, Any]) -> bytes:
    """An event as it would be had nobody asked: an app that is asked for usage says ``"usage": null`` in all others."""
    without = _NO_USAGE.sub(b"", event, count=1)
    plain = {name: value for name, value in found.items() if name != "usage"}
    # The same words may stand in a completion: only what reads the same but for its mark is passed on without it.
    return without if payload(without) == plain else event


async def _body(receive: Receive) -> tuple[bytes, list[Message]]:
    """The body, or its beginning if it is larger than we read; and the messages it came in."""
    body, messages = bytearray(), []
    while len(body) <= REQUEST_BYTES_MAX:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    return bytes(body), messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def replayed() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return replayed


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    # An answer that the app compresses could not be taken apart to hide what only we asked for.
    dropped = (b"content-length", b"transfer-encoding", b"accept-encoding")
    return [(n, v) for n, v in headers if n.lower() not in dropped] + [(b"content-length", str(length).encode())]


def _document(body: bytes) -> dict[str, Any]:
    """The request as JSON; of a form (audio) its model; nothing where it is neither (the app will say so)."""
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        model = _FORM_MODEL.search(body)
        return {"model": model[1].decode("utf-8", "replace")} if model else {}
    return found if isinstance(found, dict) else {}
