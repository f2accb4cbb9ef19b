"""Walks one Avro value and renames union branches the schema does not have; everything else is copied.

Only values that a strict reader has already refused come here, so clarity goes before speed. The walk knows the types
the event schemas use and nothing more; a value that does not fit them raises EOFError or IndexError.
"""

from __future__ import annotations

from typing import Any

from tokenmeter.events.contract import Schema

PREFIX_BYTES = 5
_BRANCH_ONE = b"\x02"
VARINT_BYTES_MAX = 10


def with_known_branches(value: bytes, schema: Schema) -> bytes:
    """``value`` with each branch of a ["null", X] union that is neither 0 nor 1 written as 1."""
    out = bytearray(value[:PREFIX_BYTES])
    at = PREFIX_BYTES
    for field in schema.document["fields"]:
        at = _copy(value, at, field["type"], out)
    return bytes(out + value[at:])


def _copy(value: bytes, at: int, kind: Any, out: bytearray) -> int:
    """Append the field of type ``kind`` at ``at`` to ``out``; returns where the next one begins."""
    if isinstance(kind, list):
        branch, after = _long(value, at)
        if branch == 0:
            out += value[at:after]
            return after
        out += _BRANCH_ONE
        return _copy(value, after, kind[1], out)
    if isinstance(kind, dict) and kind["type"] == "record":
        for field in kind["fields"]:
            at = _copy(value, at, field["type"], out)
        return at
    if isinstance(kind, dict) and kind["type"] == "array" and isinstance(kind["items"], dict):
        return _copy_array(value, at, kind["items"], out)
    end = _end(value, at, kind)
    if end > len(value):
        raise EOFError
    out += value[at:end]
    return end


def _copy_array(value: bytes, at: int, items: Any, out: bytearray) -> int:
    """Blocks that tell their size in bytes, which a renamed branch may change, are not written by anybody here."""
    while True:
        count, after = _long(value, at)
        out += value[at:after]
        at = after
        if count == 0:
            return at
        if count < 0:
            raise EOFError
        for _ in range(count):
            at = _copy(value, at, items, out)


def _end(value: bytes, at: int, kind: Any) -> int:
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "boolean":
        return at + 1
    number, after = _long(value, at)
    if name in ("int", "long", "enum"):
        return after
    if name in ("string", "bytes"):
        if number < 0:
            raise EOFError
        return after + number
    return _end_of_array(value, at, kind["items"])


def _end_of_array(value: bytes, at: int, items: Any) -> int:
    while True:
        count, at = _long(value, at)
        if count == 0:
            return at
        if count < 0:
            _, at = _long(value, at)
        for _ in range(abs(count)):
            at = _end(value, at, items)
            if at > len(value):
                raise EOFError


def _long(value: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint at ``at``, and where it ends."""
    number = 0
    for shift in range(VARINT_BYTES_MAX):
        if at >= len(value):
            raise EOFError
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise EOFError
