"""The HTTP gateway: ``POST /v1/events`` answers 202 once Kafka has acknowledged every event of the request.

Nothing of a request with a bad event is sent. Without keys it serves this machine alone, and takes only JSON content
types, which a web page cannot post here unasked.

With a CreditCache, ``GET /v1/allowed/CUSTOMER`` answers whoever is about to call a model: 200 if the call may be made,
402 Payment Required if not, with the reason, the account and the age of the answer. ``POST /v1/events`` asks nobody:
what it takes has happened; refused, it would be used all the same and charged to nobody.

With admin keys, which are no others' keys, ``POST /v1/credit`` takes grants, payments and the like; without there is no
such route.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokenmeter.emit.credit import CreditCache, orders
from tokenmeter.emit.credit.http import answer_to
from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.intake import Intake, take
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import BufferFull, Misconfigured

BODY_BYTES_MAX = 8 << 20
ACKNOWLEDGED_WITHIN_S = 10.0
POLL_S = 0.05
JSON_TYPES = ("application/json",)
LINES_TYPES = ("application/x-ndjson", "application/jsonl")


@dataclass(frozen=True)
class GatewayConfig:
    """``keys`` are what callers send as ``Authorization: Bearer KEY``; none means loopback only. ``credit``: serve
    ``GET /v1/allowed``, with these fail modes; None: do not. ``admin_keys`` open ``POST /v1/credit``, whose orders
    ``desk`` carries out; both or neither."""

    bootstrap_servers: str
    host: str = "127.0.0.1"
    port: int = 8090
    keys: tuple[str, ...] = ()
    client: Mapping[str, Any] = field(default_factory=dict)
    credit: Mapping[str, str] | None = None
    admin_keys: tuple[str, ...] = ()
    desk: orders.Desk | None = None


def deliver(emitter: Emitter, events: tuple[UsageEvent, ...], within_s: float = ACKNOWLEDGED_WITHIN_S) -> int:
    """Send them and wait; how many were acknowledged in time."""
    lock, counts = threading.Lock(), {"acknowledged": 0, "done": 0}

    def delivered(error: str | None) -> None:
        with lock:
            counts["done"] += 1
            counts["acknowledged"] += error is None

    sent = 0
    deadline = time.monotonic() + within_s
    try:
        for event in events:
            emitter.emit(event, delivered)
            sent += 1
    except BufferFull:
        pass  # the caller hears how many arrived, and that sending all of them again is safe
    while counts["done"] < sent and time.monotonic() < deadline:
        emitter.poll(POLL_S)
    with lock:
        return counts["acknowledged"]


def make_app(
    emitter: Emitter,
    keys: tuple[str, ...] = (),
    credit: CreditCache | None = None,
    admin_keys: tuple[str, ...] = (),
    desk: orders.Desk | None = None,
) -> Starlette:
    """The application, apart from how it is served. It closes the emitter and the cache when it ends."""
    known, admins = _digests(keys), _digests(admin_keys)

    async def post(request: Request) -> Response:
        if not _allowed(request.headers.get("authorization", ""), known):
            return _refuse(401, "send a valid key as: Authorization: Bearer KEY")
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in (*JSON_TYPES, *LINES_TYPES):
            return _refuse(415, f"Content-Type must be one of {', '.join((*JSON_TYPES, *LINES_TYPES))}")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                return _refuse(413, f"a request may have {BODY_BYTES_MAX} bytes; send several")
        intake: Intake = await run_in_threadpool(take, bytes(body), kind in LINES_TYPES, int(time.time() * 1e6))
        if intake.faults:
            return JSONResponse({"error": "nothing was sent", "faults": [vars(f) for f in intake.faults]}, 422)
        acknowledged = await run_in_threadpool(deliver, emitter, intake.events)
        if acknowledged < len(intake.events):
            return _refuse(
                503,
                f"{acknowledged} of {len(intake.events)} events were acknowledged within {ACKNOWLEDGED_WITHIN_S:g} s; "
                "send all of them again: an event_id counts once",
            )
        return JSONResponse({"accepted": acknowledged}, 202)

    async def allowed(request: Request) -> Response:
        if not _allowed(request.headers.get("authorization", ""), known):
            return _refuse(401, "send a valid key as: Authorization: Bearer KEY")
        if credit is None:
            return _refuse(404, "credit is not followed here; start the gateway with --credit")
        return answer_to(credit, request)

    async def order(request: Request) -> Response:
        assert desk is not None
        if not _allowed(request.headers.get("authorization", ""), admins):
            return _refuse(401, "send an admin key as: Authorization: Bearer KEY")
        return await orders.answer_to(desk, request)

    async def health(request: Request) -> Response:
        return JSONResponse({"ok": True, **vars(emitter.stats)})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        yield
        await run_in_threadpool(emitter.close)
        if credit is not None:
            await run_in_threadpool(credit.close)

    routes = [
        Route("/v1/events", post, methods=["POST"]),
        Route("/v1/allowed/{customer:path}", allowed),
        Route("/health", health),
    ]
    if admins and desk is not None:  # without a key there is nobody who may
        routes.append(Route("/v1/credit", order, methods=["POST"]))
    return Starlette(routes=routes, lifespan=lifespan)


def run(config: GatewayConfig) -> None:
    """Serve until a signal. Raises Misconfigured for a busy port, or an open address without keys."""
    if not config.keys and not _is_loopback(config.host):
        raise Misconfigured(
            f"the gateway would serve {config.host} to everybody",
            hint="set TOKENMETER_GATEWAY_KEYS, or --host 127.0.0.1",
        )
    if set(config.keys) & set(config.admin_keys):
        raise Misconfigured("a key of callers is an admin key, too", hint="set TOKENMETER_GATEWAY_ADMIN_KEYS")
    try:
        listener = socket.create_server((config.host, config.port))
    except OSError as error:
        raise Misconfigured(
            f"cannot serve on {config.host}:{config.port}: {error.strerror}", hint="choose another --port"
        ) from error
    emitter = Emitter(config.bootstrap_servers, on_full="raise", client_config=config.client)
    credit = None
    if config.credit is not None:
        credit = CreditCache(config.bootstrap_servers, fail=config.credit, client=config.client)
    app = make_app(emitter, config.keys, credit, config.admin_keys, config.desk)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    server.run(sockets=[listener])


def _digests(keys: tuple[str, ...]) -> list[bytes]:
    return [hashlib.sha256(key.encode()).digest() for key in keys]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _allowed(header: str, known: list[bytes]) -> bool:
    if not known:
        return True
    scheme, _, key = header.partition(" ")
    digest = hashlib.sha256(key.strip().encode()).digest()
    # Every key is compared, so the time tells nothing of which one was close.
    return scheme.lower() == "bearer" and sum(hmac.compare_digest(digest, one) for one in known) > 0


def _refuse(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status)
