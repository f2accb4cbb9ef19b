"""Event ids: UUIDv7 of when a call ended, made once, with its event: ids sort by time, and a retry keeps its own."""

from __future__ import annotations

import os
from datetime import datetime


def event_id(at: datetime) -> str:
    """RFC 9562, version 7: 48 bits of milliseconds, then 74 random ones."""
    milliseconds = int(at.timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
