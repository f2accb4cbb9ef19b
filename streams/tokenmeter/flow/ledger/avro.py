"""Avro's binary form of the few things a state's arrays hold. A test holds it against ``tokenmeter.events.wire``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tokenmeter.events.varint import varint

_ONE_BYTE = [bytes([value << 1]) for value in range(64)]
EMPTY = b"\x00"
NULL = b"\x00"
PRESENT = b"\x02"


number = lru_cache(1 << 16)(varint)
"""An int or long; times and offsets of one page are those of thousands of accounts."""


def text(value: str) -> bytes:
    data = value.encode()
    return number(len(data)) + data


def decimal(unscaled: int) -> bytes:
    """As long as the magnitude and a sign bit need, as every encoder here does."""
    size = abs(unscaled).bit_length() // 8 + 1
    return _ONE_BYTE[size] + unscaled.to_bytes(size, "big", signed=True)


def boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def time_ms(value: int) -> bytes:
    """Milliseconds as timestamp-micros."""
    return number(value * 1_000)


def array(items: Sequence[bytes]) -> bytes:
    """All items as one block."""
    return b"".join((number(len(items)), *items, EMPTY)) if items else EMPTY
