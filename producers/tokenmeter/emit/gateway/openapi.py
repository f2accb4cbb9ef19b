"""The gateway's OpenAPI document and its page, made from routes.py and the models; neither fetches anything."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Any

from tokenmeter.emit.gateway import cloudevents
from tokenmeter.emit.gateway.routes import ROUTES, RouteInfo
from tokenmeter.events import UsageEvent

VERSION = "3.1.0"
_ERROR = {"$ref": "#/components/schemas/Error"}


@cache
def document() -> dict[str, Any]:
    """The document."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": VERSION,
        "info": {"title": "tokenmeter gateway", "version": "1", "description": __doc__.partition(":")[0] + "."},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "UsageEvent": _usage_event(),
                "CloudEvent": _cloud_event(),
                "Error": {
                    "type": "object",
                    "properties": {
                        "error": {"type": "string"},
                        "faults": {"type": "array", "items": {"type": "object"}},
                    },
                },
            },
        },
    }


def _usage_event() -> dict[str, Any]:
    made = UsageEvent.model_json_schema(ref_template="#/components/schemas/UsageEvent/$defs/{model}")
    made["required"] = [name for name in made["required"] if name != "customer_id"]  # the key may say whose it is
    return made


def _cloud_event() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": cloudevents.SPECVERSION},
            "id": text,
            "source": text,
            "type": {"const": cloudevents.EVENT_TYPE},
            "time": {"type": "string", "format": "date-time"},
            "subject": text,
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object"},
        },
    }


def _operation(route: RouteInfo) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "responses": {str(status): _response(route, status, said) for status, said in sorted(route.answers.items())},
    }
    if route.right is not None:
        made["security"] = [{"key": []}]
        made["x-right"] = route.right.value
    if route.parameters:
        made["parameters"] = [
            {"name": name, "in": place, "required": required, "description": said, "schema": schema}
            for name, place, required, said, schema in route.parameters
        ]
    if route.bodies:
        content = {kind: {"schema": schema} for kind, schema in route.bodies.items()}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _response(route: RouteInfo, status: int, said: str) -> dict[str, Any]:
    kind = "text/html" if route.path == "/docs" and status == 200 else "application/json"
    schema: dict[str, Any] = {"type": "string"} if kind == "text/html" else {"type": "object"}
    return {"description": said, "content": {kind: {"schema": schema if status < 400 else _ERROR}}}


@cache
def page() -> str:
    """The document as one page of HTML."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>tokenmeter gateway</title>", _STYLE]
    parts.append("<h1>tokenmeter gateway</h1><p>Send a key as <code>Authorization: Bearer KEY</code>. ")
    parts.append("The same as <a href=openapi.json>OpenAPI</a>.</p>")
    for route in ROUTES:
        right = "anybody" if route.right is None else f"right: {route.right}"
        parts.append(
            f"<h2><code>{route.method} {escape(route.path)}</code></h2><p>{escape(route.summary)} ({right})</p>"
        )
        rows = [(name, place, said) for name, place, _, said, _ in route.parameters]
        rows += [(kind, "body", "") for kind in route.bodies]
        rows += [(str(status), "answer", said) for status, said in sorted(route.answers.items())]
        parts.append(_table(rows))
    fields = UsageEvent.model_json_schema()["properties"]
    required = {name for name, info in UsageEvent.model_fields.items() if info.is_required()}
    parts.append("<h2>An event</h2>")
    parts.append(_table([(name, _kind(told), "required" if name in required else "") for name, told in fields.items()]))
    return "".join(parts)


def _kind(told: dict[str, Any]) -> str:
    if "anyOf" in told:
        return " or ".join(dict.fromkeys(map(_kind, told["anyOf"])))
    kind = str(told.get("type", told.get("$ref", "").rpartition("/")[2]))
    return f"{kind}, {told['format']}" if "format" in told else kind


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


_STYLE = (
    "<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "td{padding:.1em 1em .1em 0;vertical-align:top}code,td:first-child{font-family:monospace}</style>"
)
