"""``POST /v1/events``: from a request to events in Kafka, and to an answer for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tokenmeter.emit.gateway import bodies, cloudevents
from tokenmeter.emit.gateway.corrections import Existing, looked_up
from tokenmeter.emit.gateway.intake import FAULTS_MAX, Fault, Intake, Taken, rows_of, take_rows
from tokenmeter.emit.gateway.intake import take as take_json
from tokenmeter.emit.gateway.keys import Caller
from tokenmeter.emit.gateway.limits import Limits
from tokenmeter.emit.gateway.outbox import Outbox, Outgoing
from tokenmeter.emit.gateway.ring import Refused
from tokenmeter.emit.json_response import JSONResponse
from tokenmeter.events.catalog import Right

ACKNOWLEDGED_WITHIN_S = 10.0
INLINE_BYTES_MAX = 64 << 10
"""A larger body is read in a thread, so that others are answered meanwhile."""
JSON_TYPES = ("application/json",)
LINES_TYPES = ("application/x-ndjson", "application/jsonl")
TYPES = (*JSON_TYPES, *LINES_TYPES, cloudevents.STRUCTURED, cloudevents.BATCHED)
CUSTOMER_HEADER = "tokenmeter-customer"
"""Whose events are that name no customer; a customer's own key says so by itself."""
ACCEPTED, FORBIDDEN, UNPROCESSABLE, TOO_MANY, UNAVAILABLE = 202, 403, 422, 429, 503


@dataclass(frozen=True)
class Posted:
    """What ``POST /v1/events`` needs."""

    outbox: Outbox
    limits: Limits
    existing: Existing | None = None
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    within_s: float = ACKNOWLEDGED_WITHIN_S
    body_s: float = bodies.BODY_S


def refuse(refused: Refused) -> Response:
    """A refusal as JSON."""
    headers = {} if refused.retry_after_s is None else {"retry-after": str(refused.retry_after_s)}
    if refused.status in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not waited for
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": refused.error}, refused.status, headers)


async def post(posted: Posted, caller: Caller, request: Request) -> Response:
    """Take the events of a request; all of them or, with ``?partial=true``, those that are good."""
    partial = request.query_params.get("partial", "false")
    if partial not in ("true", "false") or set(request.query_params) - {"partial"}:
        return refuse(Refused(UNPROCESSABLE, "the only parameter is partial=true"))
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in TYPES:
        return refuse(Refused(415, f"Content-Type must be one of {', '.join(TYPES)}"))
    customer = unquote(request.headers.get(CUSTOMER_HEADER, "")) or caller.customer_id
    if customer is not None and not caller.may_name(customer):
        return refuse(Refused(FORBIDDEN, f"{CUSTOMER_HEADER}: the key is another customer's"))
    wait = posted.limits.retry_after_s(caller, posted.monotonic())
    if wait is not None:
        return refuse(_too_many(wait))
    read = await bodies.read(request, posted.body_s)
    if isinstance(read, Refused):
        return refuse(read)
    body, size_bytes = read
    now_us, headers = int(posted.now() * 1e6), request.headers
    if len(body) <= INLINE_BYTES_MAX:
        intake = take(body, kind, headers, now_us, customer)
    else:
        intake = await run_in_threadpool(take, body, kind, headers, now_us, customer)
    judged = [_permitted(caller, one) for one in intake.taken]
    looked = await looked_up(posted.existing, [one for one in judged if isinstance(one, Taken)])
    if isinstance(looked, Refused):
        return refuse(looked)
    good = [one for one in looked if isinstance(one, Taken)]
    bad = [(UNPROCESSABLE, fault) for fault in (*intake.faults, *(one for one in looked if isinstance(one, Fault)))]
    bad += [(FORBIDDEN if one.field != "sequence" else UNPROCESSABLE, one) for one in judged if isinstance(one, Fault)]
    if intake.whole or (bad and partial == "false"):
        return _nothing_sent(bad)
    wait = posted.limits.retry_after_s(caller, posted.monotonic())
    if wait is not None:
        return refuse(_too_many(wait))
    posted.limits.take(caller, posted.monotonic(), len(good), size_bytes)
    arrived = await posted.outbox.send([_outgoing(caller, one) for one in good], posted.within_s)
    missing = len(good) - sum(arrived)
    posted.limits.take(caller, posted.monotonic(), -missing)
    if partial == "true":
        return _each(good, arrived, bad)
    if missing:
        text = (
            f"{sum(arrived)} of {len(good)} events were acknowledged within {posted.within_s:g} s; "
            "send all of them again: an event_id counts once"
        )
        return refuse(Refused(UNAVAILABLE, text, 1))
    return JSONResponse({"accepted": len(good)}, ACCEPTED)


def take(body: bytes, kind: str, headers: Mapping[str, str], now_us: int, customer: str | None) -> Intake:
    """The events of a body by its type."""
    if kind == cloudevents.STRUCTURED and not body.lstrip().startswith(b"["):
        rows = [cloudevents.row_of(0, rows_of(body, False)[0])]
    elif kind == cloudevents.BATCHED and body.lstrip().startswith(b"["):
        rows = [cloudevents.row_of(index, one) for index, one in enumerate(rows_of(body, False))]
    elif kind in (cloudevents.STRUCTURED, cloudevents.BATCHED):
        rows = [Fault(0, "", f"{cloudevents.STRUCTURED} is one event, {cloudevents.BATCHED} an array of them")]
    elif cloudevents.is_binary(headers):
        rows = [cloudevents.row_of_binary(headers, one) for one in rows_of(body, kind in LINES_TYPES)]
    else:
        return take_json(body, kind in LINES_TYPES, now_us, customer)
    return take_rows(rows, now_us, customer)


def _permitted(caller: Caller, one: Taken) -> Taken | Fault:
    record = one.record
    if not caller.may_name(record["customer_id"]):
        return Fault(one.place, "customer_id", "the key is another customer's")
    right = Right.CORRECTION if record.get("kind") == "CORRECTION" else Right.USAGE
    if not caller.may(right):
        return Fault(one.place, "kind", f"the key has no right to send this: {right}")
    if record.get("sequence") is not None and not record.get("source"):
        return Fault(one.place, "sequence", "it numbers the events of a source, and there is none")
    return one


def _outgoing(caller: Caller, one: Taken) -> Outgoing:
    source = one.record.get("source") or ""
    if source and caller.customer_id is not None:
        source = f"{caller.key_id}/{source}"  # a customer's numbers are its own: nobody else's emitter has lost them
    return Outgoing(one.record["customer_id"].encode(), one.encoded, source, one.record.get("sequence"))


def _too_many(wait_s: int) -> Refused:
    return Refused(TOO_MANY, f"the key's limit is reached; nothing was taken, send it again in {wait_s} s", wait_s)


def _nothing_sent(bad: list[tuple[int, Fault]]) -> Response:
    status = FORBIDDEN if all(status == FORBIDDEN for status, _ in bad) else UNPROCESSABLE
    faults = [vars(fault) for _, fault in sorted(bad, key=lambda one: one[1].index)][:FAULTS_MAX]
    return JSONResponse({"error": "nothing was sent", "faults": faults}, status)


def _each(good: list[Taken], arrived: Any, bad: list[tuple[int, Fault]]) -> Response:
    """A status for each event; 207 where they differ."""
    results: dict[int, dict[str, Any]] = {}
    for one, ok in zip(good, arrived, strict=True):
        results[one.place] = {"index": one.place, "status": ACCEPTED if ok else UNAVAILABLE}
    for status, fault in bad:
        told = results.setdefault(fault.index, {"index": fault.index, "status": status, "faults": []})
        told["faults"].append({"field": fault.field, "reason": fault.reason})
    listed = [results[index] for index in sorted(results)]
    accepted = sum(one["status"] == ACCEPTED for one in listed)
    statuses = {one["status"] for one in listed}
    status = statuses.pop() if len(statuses) == 1 else 207
    headers = {"retry-after": "1"} if status == UNAVAILABLE else {}
    return JSONResponse({"accepted": accepted, "results": listed}, status, headers)
