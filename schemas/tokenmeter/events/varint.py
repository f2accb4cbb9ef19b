"""An Avro int or long as it is written."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Zigzag, seven bits a byte, low ones first."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
