"""Reads a JSON price list with exact numbers, and finds on which line each entry begins."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from tokenmeter.events.errors import Misconfigured

_KEY = re.compile(r'^\s*("(?:[^"\\]|\\.)*")\s*:\s*\{', re.MULTILINE)
_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*")')


def load(text: str, file: str) -> Any:
    """The document, each of its numbers a Decimal. Misconfigured naming the line where it is no JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except json.JSONDecodeError as error:
        raise Misconfigured(
            f"{file}:{error.lineno}: no JSON: {error.msg}", hint="fetch the price list again: the file may be cut off"
        ) from error


def lines_of_keys(text: str) -> dict[str, int]:
    """The line of each object that has a key and begins on a line of its own."""
    return _lines(text, _KEY)


def lines_of_ids(text: str) -> dict[str, int]:
    """The line of each ``"id": "..."``."""
    return _lines(text, _ID)


def _lines(text: str, pattern: re.Pattern[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    line, at = 1, 0
    for match in pattern.finditer(text):
        line += text.count("\n", at, match.start(1))
        at = match.start(1)
        found.setdefault(json.loads(match[1]), line)
    return found
