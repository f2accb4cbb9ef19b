"""Takes alerts from ``tokenmeter alerts --webhook``: TOKENMETER_WEBHOOK_SECRET=… uvicorn receive_alerts:app"""

import hashlib
import hmac
import json
import os
import time
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SECRET = os.environ["TOKENMETER_WEBHOOK_SECRET"].encode()
AGE_MAX_S = 300
taken: dict[str, dict[str, Any]] = {}  # keep this where you act on an alert, in the same transaction


async def receive(request: Request) -> Response:
    body = await request.body()
    timestamp = request.headers.get("Tokenmeter-Timestamp", "")
    signed = hmac.new(SECRET, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    given = request.headers.get("Tokenmeter-Signature", "")
    if not hmac.compare_digest(f"v1={signed}".encode(), given.encode()):
        return Response("wrong signature", 401)
    if abs(time.time() - int(timestamp)) > AGE_MAX_S:
        return Response("too old", 401)  # somebody sends again what was signed long ago
    alert = json.loads(body)
    if alert["alert_id"] in taken:
        return Response("known")  # sent twice: act once, and say that it arrived
    taken[alert["alert_id"]] = alert
    return Response("taken")


async def show(request: Request) -> Response:
    return JSONResponse([*taken.values()])


app = Starlette(routes=[Route("/alerts", receive, methods=["POST"]), Route("/alerts", show)])
