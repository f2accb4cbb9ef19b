"""``POST /v1/credit`` of a gateway: who has an admin key gives and takes credit over HTTP.

What an order is, and what came of it, is the desk's to say; this side knows keys, bodies and statuses alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tokenmeter.emit.json_response import JSONResponse

ORDER_BYTES_MAX = 64 << 10
JSON = "application/json"

Desk = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
"""Carries an order out: the status and the document to answer. It may take a while."""


async def answer_to(desk: Desk, request: Request) -> Response:
    """Hand the order in the body to ``desk``."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != JSON:
        return _refused(415, f"Content-Type must be {JSON}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > ORDER_BYTES_MAX:
            return _refused(413, f"an order may have {ORDER_BYTES_MAX} bytes")
    try:
        order = json.loads(body.decode())
    except ValueError as error:
        return _refused(400, f"the body is no JSON: {error}")
    if not isinstance(order, dict):
        return _refused(422, "an order is an object")
    status, document = await run_in_threadpool(desk, order)
    return JSONResponse(document, status, {"cache-control": "no-store"})


def _refused(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status)
