"""What a gateway takes in: bytes to records that Kafka can have, or everything that is wrong with them. Pure.

Two ways lead to the same record. A request without anything odd is validated as a whole, by one call into pydantic's
core, with the types of UsageEvent (3 µs an event where a model each takes 20). Where that call or a rule objects, each
event is read by itself, and is told of by its field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Annotated, Any, NamedTuple, NotRequired

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tokenmeter.emit.event_encoder import Encoded, encoded
from tokenmeter.emit.json_events import event_of, exact, needs_care, parsed
from tokenmeter.emit.rule_fields import field_of
from tokenmeter.events import UsageEvent
from tokenmeter.events.accept import DETAILS, reason_against
from tokenmeter.events.contract import EVENT_BYTES_MAX
from tokenmeter.events.errors import Poison

EVENTS_MAX = 10_000
"""Events of one request."""
FAULTS_MAX = 20
"""Faults told of at once."""
_STAMPS_BYTES = 256
"""Room for the source and sequence that the gateway adds."""
DEFAULTS: Mapping[str, Any] = {
    name: info.default for name, info in UsageEvent.model_fields.items() if not info.is_required()
}
Record = dict[str, Any]
"""An event as it was validated, without the fields that it leaves at their default."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one event: its place in the request, the field and the reason; never its content."""

    index: int
    field: str
    reason: str


class Taken(NamedTuple):
    """An event to send: its place in the request, its record, and its bytes but for the stamps."""

    place: int
    record: Record
    encoded: Encoded


@dataclass(frozen=True)
class Intake:
    """``taken`` are good. Where there are ``faults``, whoever asked says whether the good ones are sent all the same.

    ``whole``: it was no list of events at all, so the faults are those of the request.
    """

    taken: Sequence[Taken] = ()
    faults: tuple[Fault, ...] = ()
    count: int = 0
    whole: bool = field(default=False)

    @cached_property
    def events(self) -> tuple[UsageEvent, ...]:
        """What is taken as models."""
        return () if self.faults else tuple(UsageEvent.model_validate(one.record) for one in self.taken)


def rows_of(body: bytes, lines: bool) -> list[Any]:
    """One JSON event, a JSON array of them, or with ``lines`` one JSON event a line; a Fault for what is no JSON."""
    if lines:
        return [_parsed(index, line) for index, line in enumerate(filter(bytes.strip, body.splitlines()))]
    found = _parsed(0, body)
    return found if isinstance(found, list) else [found]


def take(body: bytes, lines: bool, now_us: int, customer: str | None = None) -> Intake:
    """Read a request's body; ``customer`` is that of the events that name none."""
    rows = rows_of(body, lines)
    return take_rows(rows, now_us, customer, None if lines or body.lstrip()[:1] != b"[" else body)


def take_rows(rows: list[Any], now_us: int, customer: str | None = None, document: bytes | None = None) -> Intake:
    """Judge the events of a request. ``document``: the rows as JSON, where they are as they came."""
    if not 0 < len(rows) <= EVENTS_MAX:
        fault = Fault(0, "", f"{len(rows)} events; 1 to {EVENTS_MAX} are taken at once")
        return Intake(faults=(fault,), count=len(rows), whole=True)
    if customer is not None:
        for row in rows:
            if isinstance(row, dict) and "customer_id" not in row:
                row["customer_id"], document = customer, None
    records = _at_once(rows, document)
    if records is None:
        records = [_one(index, row) for index, row in enumerate(rows)]
    taken: list[Taken] = []
    faults: list[Fault] = []
    for index, record in enumerate(records):
        judged = record if isinstance(record, list) else _judged(index, record, now_us)
        if isinstance(judged, Taken):
            taken.append(judged)
        else:
            faults += judged
    return Intake(taken, tuple(faults), len(rows), whole=len(rows) == 1 and isinstance(rows[0], Fault))


def _parsed(index: int, text: bytes) -> Any:
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        return Fault(index, "", f"not JSON: {error}")


@cache
def _all_at_once() -> TypeAdapter[list[Record]]:
    """Validates events with the types of UsageEvent, and leaves its rules to ``reason_against``."""
    fields: dict[str, Any] = {}
    for name, info in UsageEvent.model_fields.items():
        kind: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        fields[name] = kind if info.is_required() else NotRequired[kind]
    make: Any = TypedDict
    made: Any = make("Fields", fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid", use_enum_values=True)
    adapter: TypeAdapter[list[Record]] = TypeAdapter(list[made])
    return adapter


def _at_once(rows: Sequence[Any], document: bytes | None) -> list[Any] | None:
    """The records of all events; None: at least one is not usable, or must be read with care."""
    if any(map(needs_care, rows)):
        return None
    try:
        return _all_at_once().validate_json(document or json.dumps(rows))
    except (ValidationError, ValueError, RecursionError):
        return None


def _one(index: int, row: Any) -> Record | list[Fault]:
    if isinstance(row, Fault):
        return [row]
    try:
        return event_of(row).to_record()
    except ValidationError as error:
        return [_named(index, told, row) for told in error.errors(include_input=False)]
    except RecursionError:  # it was read with some stack to spare, but could not be written
        return [Fault(index, "", "nested too deeply")]


def _named(index: int, told: Any, row: Any) -> Fault:
    """A fault by its field, also where it is a rule's about several."""
    reason = told["msg"].removeprefix("Value error, ")
    if told["loc"] or not isinstance(row, dict) or told["type"] != "value_error":
        return Fault(index, ".".join(map(str, told["loc"])), told["msg"])
    record = _all_at_once().validate_json(json.dumps([exact(row)]))[0]
    return Fault(index, field_of(reason.partition(":")[0], {**DEFAULTS, **record}), reason)


def _largest(record: Record) -> str:
    return max(record, key=lambda name: len(str(record[name])))


def _judged(index: int, record: Record, now_us: int) -> Taken | list[Fault]:
    reason = reason_against({**DEFAULTS, **record}, now_us)
    if reason is not None:
        return [Fault(index, field_of(reason, {**DEFAULTS, **record}), f"{reason}: {DETAILS[reason]}")]
    try:
        made = encoded(record)
    except Poison as poison:
        return [Fault(index, "", f"{poison.reason}: {poison.detail}")]
    if made.size_bytes > EVENT_BYTES_MAX - _STAMPS_BYTES:
        size = f"{made.size_bytes} bytes, {EVENT_BYTES_MAX - _STAMPS_BYTES} are allowed"
        return [Fault(index, _largest(record), f"too_large: {size}")]
    return Taken(index, record, made)
