"""Texts that systems have lost, changed or mistaken for one another: they come out as they went in, or are refused."""

from __future__ import annotations

import unicodedata

ODD_TEXTS: tuple[str, ...] = (
    "nul\0inside",
    "\0",
    "emoji \U0001f600\U0001f469‍\U0001f4bb",
    "right‮to-left ‏שלום",
    unicodedata.normalize("NFC", "café"),
    unicodedata.normalize("NFD", "café"),
    "trailing blank ",
    "trailing blank",
    " leading",
    "line\nbreak\rand\r\nboth",
    "line separator \u2028\u2029 and next line \x85",
    "escape \x1b[31m and unit \x1f",
    "back\\slash 'quotes' \"double\" \t tab, comma; semicolon",
    "NULL",
    "﻿byte order mark",
    "\ufffe\uffff noncharacters",
    "b" * 256,
    "ü" * 128,
)
"""All distinct, also those that look the same. None has more than 256 bytes."""
UNWRITABLE = ("half \ud83d", "\udc00", "\ud800\ud800")
"""Lone surrogates: no bytes in UTF-8 stand for them, so no one can keep them."""
