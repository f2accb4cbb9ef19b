"""The gateway's application: who may call which route, whatever serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tokenmeter.emit.credit import CreditCache, orders
from tokenmeter.emit.credit.http import answer_to as allowed_answer
from tokenmeter.emit.gateway import bodies, events, hosts, openapi, usage
from tokenmeter.emit.gateway.corrections import Existing
from tokenmeter.emit.gateway.events import Posted, refuse
from tokenmeter.emit.gateway.keys import Caller
from tokenmeter.emit.gateway.limits import Limits
from tokenmeter.emit.gateway.outbox import Outbox
from tokenmeter.emit.gateway.ring import KeyRing, Refused
from tokenmeter.emit.gateway.routes import ROUTES
from tokenmeter.emit.json_response import JSONResponse
from tokenmeter.events.catalog import Right

Answer = Callable[[Caller, Request], Awaitable[Response]]


@dataclass(frozen=True)
class Parts:
    """What a gateway is made of. ``credit`` answers GET /v1/allowed, ``desk`` POST /v1/credit, ``usage_of`` GET
    /v1/usage, ``existing`` finds what corrections name; without them the gateway says so. ``host``: the address
    that is served."""

    outbox: Outbox
    keys: KeyRing
    credit: CreditCache | None = None
    desk: orders.Desk | None = None
    usage_of: usage.UsageOf | None = None
    existing: Existing | None = None
    host: str = "127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    within_s: float = events.ACKNOWLEDGED_WITHIN_S
    body_s: float = bodies.BODY_S


def make_app(parts: Parts) -> Starlette:
    """The application. It closes its parts when it ends."""
    posted = Posted(parts.outbox, parts.limits, parts.existing, within_s=parts.within_s, body_s=parts.body_s)
    answers: dict[tuple[str, str], Answer] = {
        ("POST", "/v1/events"): partial(events.post, posted),
        ("GET", "/v1/allowed/{customer}"): partial(_allowed, parts),
        ("GET", "/v1/usage"): partial(usage.answer_to, parts.usage_of),
        ("POST", "/v1/credit"): partial(_order, parts),
        ("GET", "/health"): partial(_health, parts),
        ("GET", "/openapi.json"): _openapi,
        ("GET", "/docs"): _docs,
    }

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        await run_in_threadpool(parts.keys.wait_ready)
        yield
        await run_in_threadpool(parts.outbox.close)
        await run_in_threadpool(parts.keys.close)
        if parts.credit is not None:
            await run_in_threadpool(parts.credit.close)

    made = [
        Route(
            route.path.replace("{customer}", "{customer:path}"),  # a customer's name may have slashes
            _guarded(parts, answers[route.method, route.path], route.right, route.path == "/health"),
            methods=[route.method],
        )
        for route in ROUTES
    ]
    return Starlette(routes=made, lifespan=lifespan)


def _guarded(
    parts: Parts, answer: Answer, right: Right | None, any_host: bool
) -> Callable[[Request], Awaitable[Response]]:
    """``answer`` for those who may; ``any_host``: whatever name the gateway is called by."""

    async def guarded(request: Request) -> Response:
        keys = parts.keys
        if keys.keyless and not any_host and not hosts.is_ours(request.headers.get("host", ""), parts.host):
            return refuse(Refused(421, "without keys the gateway answers to localhost and its own address alone"))
        if right is None:
            return await answer(_NOBODY, request)
        caller = keys.find(request.headers.get("authorization", ""))
        if isinstance(caller, Refused):
            return refuse(caller)
        # What the events of a post ask for is known once they are read.
        if not caller.may(right) and not (right == Right.USAGE and caller.may(Right.CORRECTION)):
            return refuse(Refused(403, f"the key has no right to do this: {right}"))
        return await answer(caller, request)

    return guarded


_NOBODY = Caller("nobody", None, frozenset())


async def _allowed(parts: Parts, caller: Caller, request: Request) -> Response:
    if not caller.may_name(request.path_params["customer"]):
        return refuse(Refused(403, "the key is another customer's"))
    if parts.credit is None:
        return refuse(Refused(404, "credit is not followed here; start the gateway with --credit"))
    return allowed_answer(parts.credit, request)


async def _order(parts: Parts, caller: Caller, request: Request) -> Response:
    if parts.desk is None:
        return refuse(Refused(404, "credit is not given here"))
    return await orders.answer_to(parts.desk, request)


async def _health(parts: Parts, caller: Caller, request: Request) -> Response:
    # Always 200: it lives, and whoever ends it for that would mend nothing.
    well = {"ok": False, "why": why} if (why := parts.keys.unwell) else {"ok": True}
    return JSONResponse({**well, **parts.outbox.stats(), "gateway_keys": parts.keys.health()})


async def _openapi(caller: Caller, request: Request) -> Response:
    return JSONResponse(openapi.document())


async def _docs(caller: Caller, request: Request) -> Response:
    return HTMLResponse(openapi.page())
