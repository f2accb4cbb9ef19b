"""The routes of the gateway and the right that each asks for: one list, from which both the application and its OpenAPI
document are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tokenmeter.emit.gateway import cloudevents, events
from tokenmeter.events.catalog import Right

Parameter = tuple[str, str, bool, str, dict[str, Any]]
"""Name, where it is (path, query, header), whether it must be given, what it says, its schema."""
_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "string", "enum": ["true", "false"]}


@dataclass(frozen=True)
class RouteInfo:
    """One route. ``right`` of None: anybody. ``bodies``: schema by content type."""

    method: str
    path: str
    summary: str
    right: Right | None
    answers: dict[int, str]
    parameters: tuple[Parameter, ...] = ()
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def operation_id(self) -> str:
        return f"{self.method.lower()}{self.path.replace('/', '_').replace('{', '').replace('}', '')}"


_EVENT: dict[str, Any] = {"$ref": "#/components/schemas/UsageEvent"}
_CLOUD: dict[str, Any] = {"$ref": "#/components/schemas/CloudEvent"}
_LIST: dict[str, Any] = {"type": "array", "items": _EVENT, "minItems": 1}
KEYED = {401: "no valid key", 403: "the key lacks the right, or is another customer's", 421: "another Host was meant"}
NOT_NOW = {503: "Kafka did not acknowledge in time, or valid keys cannot be read: send it again"}

ROUTES: tuple[RouteInfo, ...] = (
    RouteInfo(
        "POST",
        "/v1/events",
        "Take usage events; answered once Kafka has acknowledged every one. A CORRECTION needs the right correction.",
        Right.USAGE,
        {
            202: "every event is in Kafka",
            207: "partial=true: a status for each event",
            400: "the body ended early, or is not packed as it says",
            408: "the body did not arrive in time",
            413: "the body is too large",
            415: "another content type or encoding",
            422: "what is wrong, by event and field; nothing was sent",
            429: "the key's limit; come again after Retry-After",
            501: "a correction cannot be checked here: no store is set",
            **KEYED,
            **NOT_NOW,
        },
        (
            ("partial", "query", False, "true: send the good events, and answer for each", _FLAG),
            (
                "Tokenmeter-Customer",
                "header",
                False,
                "whose the events are that name no customer, percent-encoded",
                _TEXT,
            ),
        ),
        {
            "application/json": {"anyOf": [_EVENT, _LIST]},
            "application/x-ndjson": _TEXT,
            "application/jsonl": _TEXT,
            cloudevents.STRUCTURED: _CLOUD,
            cloudevents.BATCHED: {"type": "array", "items": _CLOUD, "minItems": 1},
        },
    ),
    RouteInfo(
        "GET",
        "/v1/allowed/{customer}",
        "Whether a customer may call a model: asked before the call.",
        Right.READ,
        {
            200: "the call may be made",
            402: "it may not, and why",
            404: "credit is not followed here",
            422: "an unknown parameter",
            **KEYED,
            **NOT_NOW,
        },
        (
            ("customer", "path", True, "the customer", {"type": "string", "minLength": 1}),
            *(
                (name, "query", False, f"the {name} that calls, for its budget", _TEXT)
                for name in ("api_key", "project", "model", "end_user")
            ),
            ("free", "query", False, "true: the call costs nothing", _FLAG),
        ),
    ),
    RouteInfo(
        "GET",
        "/v1/usage",
        "What a customer has used, from the totals, and up to when they are complete.",
        Right.READ,
        {200: "the usage", 422: "a parameter is wrong", 501: "no store is set", **KEYED, **NOT_NOW},
        (
            ("customer", "query", False, "whose; a customer's own key says so by itself, others need admin", _TEXT),
            ("since", "query", False, "from this hour on, UTC, or 7d ago; default: this month", _TEXT),
            ("until", "query", False, "up to this hour, UTC; default: now", _TEXT),
            ("by", "query", False, "a row for each of model, key, project, day; several with commas", _TEXT),
        ),
    ),
    RouteInfo(
        "POST",
        "/v1/credit",
        "Give or take credit: grants, payments, adjustments, invoices, voids.",
        Right.ADMIN,
        {
            200: "booked, or booked before",
            202: "written, not yet booked",
            400: "no JSON",
            404: "credit is not given here",
            409: "refused by the ledger",
            413: "too large",
            415: "another content type",
            422: "no order",
            **KEYED,
            **NOT_NOW,
        },
        (),
        {"application/json": {"type": "object"}},
    ),
    RouteInfo(
        "GET",
        "/health",
        "Whether the gateway takes what is sent, why not, and how old what it knows of keys is.",
        None,
        {200: "yes"},
    ),
    RouteInfo("GET", "/openapi.json", "This document.", None, {200: "the document", 421: "another Host was meant"}),
    RouteInfo("GET", "/docs", "This document, to read.", None, {200: "a page", 421: "another Host was meant"}),
)
assert set(ROUTES[0].bodies) == set(events.TYPES)
