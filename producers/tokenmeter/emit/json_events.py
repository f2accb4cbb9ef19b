"""Reads an event from JSON as it was written: a price keeps all its digits, where a float keeps seventeen. Pure.

What JSON readers let pass in silence is refused: a key given twice, and ``true`` where a number stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import QUANTITY_FIELDS

MONEY = "reported_cost"
_DIGITS_OF_A_FLOAT = 15
_NUMBERS = (*QUANTITY_FIELDS, "calls", "sequence", "attempt", "status", "latency_ms", "duration_ms", MONEY)


class Exact(float):
    """A number, with the digits it was written with."""

    digits: str

    def __new__(cls, digits: str) -> Exact:
        made = super().__new__(cls, digits)
        made.digits = digits
        return made


class Twice(dict[str, Any]):
    """An object one of whose keys was given twice."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    twice = Twice(made)
    twice.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return twice


def parsed(text: bytes | str) -> Any:
    """The document, for event_of(). Raises ValueError or RecursionError where it is no JSON."""
    return json.loads(text, parse_float=Exact, object_pairs_hook=_object)


def needs_care(row: Any) -> bool:
    """Whether reading the row as any JSON reader would may lose or let pass something."""
    if type(row) is not dict:
        return True
    cost = row.get(MONEY)
    if type(cost) is Exact and len(cost.digits) > _DIGITS_OF_A_FLOAT:
        return True
    return bool in map(type, row.values()) and _bool_for_a_number(row) is not None


def exact(row: Any) -> Any:
    """The row with the price as text, which keeps its digits when it is written as JSON again."""
    cost = row.get(MONEY) if isinstance(row, dict) else None
    return {**row, MONEY: cost.digits} if isinstance(cost, Exact) else row


def event_of(row: Any) -> UsageEvent:
    """One event of a parsed document. Raises pydantic.ValidationError, which names each field that is wrong."""
    _refuse(row)
    row = exact(row)
    try:
        # JSON knows no datetimes or tuples, so the model is asked in its JSON mode.
        return UsageEvent.model_validate_json(json.dumps(row))
    except ValidationError as error:
        # Half a character can be escaped in JSON but not read from it: then only the parsed texts tell where it stands.
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            UsageEvent.model_validate(row)
        raise


def _refuse(row: Any) -> None:
    if isinstance(row, Twice):
        raise _fault(row.key, "the key is given twice")
    name = _bool_for_a_number(row) if isinstance(row, Mapping) else None
    if name is not None:
        raise _fault(name, "Input should be a valid number, not true or false")


def _bool_for_a_number(row: Mapping[str, Any]) -> str | None:
    return next((name for name in _NUMBERS if isinstance(row.get(name), bool)), None)


def _fault(field: str, reason: str) -> ValidationError:
    told = InitErrorDetails(type=PydanticCustomError("refused", "{reason}", {"reason": reason}), loc=(field,), input="")
    return ValidationError.from_exception_data("UsageEvent", [told])
