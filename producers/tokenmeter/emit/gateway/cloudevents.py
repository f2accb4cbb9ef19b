"""CloudEvents 1.0 over HTTP as rows of our events: structured, batched and binary. Pure.

``data`` is the event; what it leaves out is taken from the attributes: ``event_id`` from ``id``, ``occurred_at`` from
``time``, ``customer_id`` from ``subject``. An ``event_id`` counts once for a customer, whichever ``source`` sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tokenmeter.emit.gateway.intake import Fault
from tokenmeter.emit.json_events import Twice

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
EVENT_TYPE = "tokenmeter.usage.v1"
SPECVERSION = "1.0"
_REQUIRED = ("specversion", "id", "source", "type")
_STANDS_FOR = {"id": "event_id", "time": "occurred_at", "subject": "customer_id"}
_HEADER = "ce-"


def row_of(index: int, envelope: Any) -> Any:
    """The event in one envelope, or a Fault."""
    if isinstance(envelope, Fault):
        return envelope
    if not isinstance(envelope, dict):
        return Fault(index, "", "a CloudEvent is an object")
    if isinstance(envelope, Twice):
        return Fault(index, envelope.key, "the key is given twice")
    if "data_base64" in envelope:
        return Fault(index, "data_base64", "data must be JSON")
    kind = envelope.get("datacontenttype", "application/json")
    if kind != "application/json":
        return Fault(index, "datacontenttype", "data must be application/json")
    return _event(index, envelope, envelope.get("data"))


def row_of_binary(headers: Mapping[str, str], data: Any) -> Any:
    """The event in a body whose attributes are ``ce-`` headers, or a Fault."""
    told = {name.removeprefix(_HEADER): unquote(text) for name, text in headers.items() if name.startswith(_HEADER)}
    return _event(0, told, data)


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether a request carries a CloudEvent in the binary way."""
    return f"{_HEADER}specversion" in headers


def _event(index: int, told: Mapping[str, Any], data: Any) -> Any:
    if isinstance(data, Fault):
        return data
    for name in _REQUIRED:
        if not isinstance(told.get(name), str) or not told[name]:
            return Fault(index, name, "a CloudEvent must have it, as text")
    if told["specversion"] != SPECVERSION:
        return Fault(index, "specversion", f"{SPECVERSION} is understood here")
    if told["type"] != EVENT_TYPE:
        return Fault(index, "type", f"{EVENT_TYPE} is taken here")
    if type(data) is not dict:
        return data if isinstance(data, Twice) else Fault(index, "data", "must be one event, an object")
    row = dict(data)
    for attribute, name in _STANDS_FOR.items():
        if attribute in told and row.setdefault(name, told[attribute]) != told[attribute] and attribute == "id":
            return Fault(index, "data.event_id", "differs from the id of its envelope")
        if attribute == "subject" and attribute in told and row[name] != told[attribute]:
            return Fault(index, "data.customer_id", "differs from the subject of its envelope")
    return row
