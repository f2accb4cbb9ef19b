"""The cache's answer over HTTP: for gateways in another language, or another process."""

from __future__ import annotations

from math import isfinite

from starlette.requests import Request
from starlette.responses import Response

from tokenmeter.emit.credit.cache import CreditCache
from tokenmeter.emit.json_response import JSONResponse

NAMES = ("api_key", "project", "model", "end_user")
"""Parameters that name a part of the customer; ``free=true`` is the only other."""
ALLOWED, PAYMENT_REQUIRED = 200, 402


def answer_to(credit: CreditCache, request: Request) -> Response:
    """Whether the customer in the path may call, as JSON. ``age_s`` is null before the cache has caught up once.

    422 for a parameter that does not exist: a misspelt one would be a budget that is never asked.
    """
    given = request.query_params
    unknown = set(given) - {*NAMES, "free"}
    free = given.get("free", "false")
    if unknown or free not in ("true", "false"):
        wrong = ", ".join(sorted(unknown)) or f"free={free}"
        return JSONResponse({"error": f"{wrong}: there are {', '.join(NAMES)} and free=true"}, 422)
    named = {name: given[name] for name in NAMES if name in given}
    answer = credit.allowed(request.path_params["customer"], **named, free=free == "true")
    age_s = credit.age_s
    told = {**answer._asdict(), "age_s": round(age_s, 3) if isfinite(age_s) else None}
    headers = {"cache-control": "no-store"}
    return JSONResponse(told, ALLOWED if answer.allowed else PAYMENT_REQUIRED, headers)
