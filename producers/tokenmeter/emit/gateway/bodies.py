"""Reads a request's body: within a time, within a size, and unpacked within the same size."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from starlette.requests import ClientDisconnect, Request

from tokenmeter.emit.gateway.ring import Refused

BODY_BYTES_MAX = 8 << 20
BODY_S = 30.0
"""How long a whole body may take; who sends slower is held to be gone."""
ENCODINGS = ("identity", "gzip", "zstd")


async def read(request: Request, within_s: float = BODY_S) -> tuple[bytes, int] | Refused:
    """The body, unpacked, and how many bytes came over the wire; or why not."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        return Refused(415, f"Content-Encoding must be one of {', '.join(ENCODINGS)}")
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    return _too_large()
    except TimeoutError:
        return Refused(408, f"the body did not arrive within {within_s:g} s")
    except ClientDisconnect:
        return Refused(400, "the body ended early")
    if encoding == "identity":
        return bytes(body), len(body)
    try:
        unpacked = _gunzip(body) if encoding == "gzip" else _unzstd(body)
    except Exception as error:
        return Refused(400, f"the body is no {encoding}: {type(error).__name__}")
    return unpacked if isinstance(unpacked, Refused) else (unpacked, len(body))


def _too_large() -> Refused:
    return Refused(413, f"a request may have {BODY_BYTES_MAX} bytes, unpacked; send several")


def _gunzip(body: bytearray) -> bytes | Refused:
    made, rest = b"", bytes(body)
    while rest:  # gzip files may follow one another in one
        unpacker = zlib.decompressobj(wbits=31)
        made += unpacker.decompress(rest, BODY_BYTES_MAX + 1 - len(made))
        if len(made) > BODY_BYTES_MAX:
            return _too_large()
        if not unpacker.eof:
            raise EOFError
        rest = unpacker.unused_data
    return made


def _unzstd(body: bytearray) -> bytes | Refused:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=BODY_BYTES_MAX)
    made, rest = b"", bytes(body)
    bounded: Any = unpacker.stream_reader(rest, read_across_frames=True)
    if len(bounded.read(BODY_BYTES_MAX + 1)) > BODY_BYTES_MAX:
        return _too_large()
    while rest:  # the reader ends quietly where a frame is cut off, so that frames are read once more
        frame: Any = unpacker.decompressobj()
        made += frame.decompress(rest)
        if not frame.eof:
            raise EOFError
        rest = frame.unused_data
    return made
