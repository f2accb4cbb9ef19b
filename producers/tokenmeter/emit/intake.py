"""What a gateway takes in: bytes to valid events, or everything that is wrong with them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tokenmeter.emit.json_events import event_of, parsed
from tokenmeter.events import UsageEvent
from tokenmeter.events.accept import DETAILS, reason_against
from tokenmeter.events.contract import EVENT_BYTES_MAX
from tokenmeter.events.errors import Poison
from tokenmeter.events.wire import encode

EVENTS_MAX = 10_000
"""Events of one request."""
FAULTS_MAX = 20
"""Faults told of at once."""
_STAMPS_BYTES = 256
"""Room for the source and sequence that the emitter adds."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one event: its place in the request, the field and the reason; never its content."""

    index: int
    field: str
    reason: str


@dataclass(frozen=True)
class Intake:
    """Either events, all of them valid, or faults."""

    events: tuple[UsageEvent, ...] = ()
    faults: tuple[Fault, ...] = ()


def take(body: bytes, lines: bool, now_us: int) -> Intake:
    """One JSON event, a JSON array of them, or with ``lines`` one JSON event a line."""
    rows: list[Any]
    if lines:
        rows = [_parsed(index, line) for index, line in enumerate(filter(bytes.strip, body.splitlines()))]
    else:
        found = _parsed(0, body)
        rows = found if isinstance(found, list) else [found]
    if not 0 < len(rows) <= EVENTS_MAX:
        return Intake(faults=(Fault(0, "", f"{len(rows)} events; 1 to {EVENTS_MAX} are taken at once"),))
    events: list[UsageEvent] = []
    faults: list[Fault] = []
    for index, row in enumerate(rows):
        judged = [row] if isinstance(row, Fault) else _judge(index, row, now_us)
        if isinstance(judged, UsageEvent):
            events.append(judged)
        else:
            faults += judged
        if len(faults) >= FAULTS_MAX:
            break
    return Intake(faults=tuple(faults[:FAULTS_MAX])) if faults else Intake(tuple(events))


def _parsed(index: int, text: bytes) -> Any:
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        return Fault(index, "", f"not JSON: {error}")


def _judge(index: int, row: Any, now_us: int) -> UsageEvent | list[Fault]:
    try:
        event = event_of(row)
        record = event.to_record()
        size = len(encode("usage_event", record))
    except ValidationError as error:
        return [Fault(index, ".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False)]
    except Poison as poison:
        return [Fault(index, "", f"{poison.reason}: {poison.detail}")]
    if size > EVENT_BYTES_MAX - _STAMPS_BYTES:
        return [Fault(index, "", f"too_large: {size} bytes, {EVENT_BYTES_MAX - _STAMPS_BYTES} are allowed")]
    reason = reason_against(record, now_us)
    return event if reason is None else [Fault(index, "", f"{reason}: {DETAILS[reason]}")]
