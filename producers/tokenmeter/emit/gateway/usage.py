"""``GET /v1/usage``: what a customer has used. Who may ask for whom is decided here, the store finds the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tokenmeter.emit.gateway.events import refuse
from tokenmeter.emit.gateway.keys import Caller
from tokenmeter.emit.gateway.ring import Refused
from tokenmeter.emit.json_response import JSONResponse
from tokenmeter.events.catalog import Right
from tokenmeter.events.errors import Misconfigured, TokenmeterError

PARAMETERS = ("customer", "since", "until", "by")
UsageOf = Callable[[str, Mapping[str, str]], dict[str, Any]]
"""The usage of a customer; the other parameters as they were sent. Misconfigured names one that is wrong."""


async def answer_to(usage_of: UsageOf | None, caller: Caller, request: Request) -> Response:
    """The usage of the caller's own customer; with the right admin of any that is named."""
    given = request.query_params
    wrong = [name for name in given if name not in PARAMETERS or len(given.getlist(name)) > 1]
    if wrong:
        return refuse(Refused(422, f"{', '.join(wrong)}: there are {', '.join(PARAMETERS)}, once each"))
    customer = given.get("customer", caller.customer_id)
    if customer != caller.customer_id and not (caller.customer_id is None and caller.may(Right.ADMIN)):
        return refuse(Refused(403, "customer: only a key with the right admin may name one"))
    if not customer:
        return refuse(Refused(422, "customer: whose usage?"))
    if usage_of is None:
        return refuse(Refused(501, "no store is set: start the gateway with TOKENMETER_CLICKHOUSE_URL"))
    named = {name: given[name] for name in PARAMETERS[1:] if name in given}
    try:
        found = await run_in_threadpool(usage_of, customer, named)
    except Misconfigured as error:
        return refuse(Refused(422, error.message))
    except TokenmeterError as error:
        return refuse(Refused(503, error.message, 1))
    return JSONResponse(found, 200, {"cache-control": "no-store"})
