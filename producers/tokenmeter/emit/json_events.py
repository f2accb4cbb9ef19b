"""Reads an event from JSON as it was written: a price keeps all its digits, where a float keeps seventeen. Pure."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from tokenmeter.events import UsageEvent

_MONEY = "reported_cost"


class _Exact(float):
    """A number, with the digits it was written with."""

    digits: str

    def __new__(cls, digits: str) -> _Exact:
        made = super().__new__(cls, digits)
        made.digits = digits
        return made


def parsed(text: bytes | str) -> Any:
    """The document, for event_of(). Raises ValueError or RecursionError where it is no JSON."""
    return json.loads(text, parse_float=_Exact)


def event_of(row: Any) -> UsageEvent:
    """One event of a parsed document. Raises pydantic.ValidationError, which names each field that is wrong."""
    cost = row.get(_MONEY) if isinstance(row, dict) else None
    if isinstance(cost, _Exact):
        row = {**row, _MONEY: cost.digits}
    try:
        # JSON knows no datetimes or tuples, so the model is asked in its JSON mode.
        return UsageEvent.model_validate_json(json.dumps(row))
    except ValidationError as error:
        # Half a character can be escaped in JSON but not read from it: then only the parsed texts tell where it stands.
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            UsageEvent.model_validate(row)
        raise
