"""A request's body as it was before ``Content-Encoding``: whole or refused, frame after frame, within a bound.

Nothing is decompressed far ahead of what is asked for, so that a small body cannot fill the memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import lz4.frame
import zstandard

BODY_BYTES_MAX = 1 << 30
"""A request body, as sent and as decompressed."""
STEP_BYTES_MAX = 4 << 20
"""At most this much is decompressed at once ..."""
ZSTD_STEP_BYTES_MAX = 1 << 10
"""... and of zstd, which takes no such bound, at most this much is given to it: no more than 32 MB come of it."""
_INPUT_BYTES = 64 << 10
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
"""First four bytes of a frame of lz4 or zstd that carries nothing for us."""
_SKIPPABLE_HEAD_BYTES = 8

Step = Callable[[Any, bytes], tuple[bytes, bytes, bool]]
"""Decompresses some: (what came out, what of the input is left, whether the frame has ended)."""


class BodyError(ValueError):
    """The body is damaged, cut, too large, or encoded in a way we do not know."""


def _zlib_step(frame: Any, given: bytes) -> tuple[bytes, bytes, bool]:
    out = frame.decompress(given, STEP_BYTES_MAX)
    return out, frame.unused_data if frame.eof else frame.unconsumed_tail, frame.eof


def _lz4_step(frame: Any, given: bytes) -> tuple[bytes, bytes, bool]:
    out = frame.decompress(given, max_length=STEP_BYTES_MAX)
    return bytes(out), frame.unused_data or b"" if frame.eof else b"", frame.eof


def _zstd_step(frame: Any, given: bytes) -> tuple[bytes, bytes, bool]:
    out = frame.decompress(given[:ZSTD_STEP_BYTES_MAX])
    rest = given[ZSTD_STEP_BYTES_MAX:]
    return out, frame.unused_data + rest if frame.eof else rest, frame.eof


_ENCODINGS: dict[str, tuple[Callable[[], Any], Step]] = {
    "gzip": (lambda: zlib.decompressobj(31), _zlib_step),
    "deflate": (zlib.decompressobj, _zlib_step),
    "lz4": (lz4.frame.LZ4FrameDecompressor, _lz4_step),
    "zstd": (lambda: zstandard.ZstdDecompressor().decompressobj(), _zstd_step),
}


def decompressed(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body in pieces. Raises BodyError; what came before it must not be used then."""
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in _ENCODINGS:
        raise BodyError(f"Content-Encoding {encoding!r} is not supported: use gzip, deflate, lz4 or zstd")
    try:
        yield from _frames(_cut(pieces), encoding)
    except (OSError, zlib.error, RuntimeError, zstandard.ZstdError, EOFError) as error:
        raise BodyError(f"the body is not {encoding}: {error}") from error


def _frames(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    new, step = _ENCODINGS[encoding]
    frame, left, skip = None, b"", 0
    for piece in pieces:
        left += piece
        while left or _holds_more(frame):
            if skip:
                skip, left = max(0, skip - len(left)), left[skip:]
                continue
            if frame is None:
                head = int.from_bytes(left[:4], "little")
                if encoding in ("lz4", "zstd") and (len(left) < _SKIPPABLE_HEAD_BYTES or head in _SKIPPABLE):
                    if len(left) < _SKIPPABLE_HEAD_BYTES:
                        break
                    skip, left = int.from_bytes(left[4:8], "little"), left[8:]
                    continue
                frame = new()
            out, left, ended = step(frame, left)
            yield out
            frame = None if ended else frame
    if frame is not None or left or skip:
        raise BodyError(f"the body ends within a frame of {encoding}")


def _holds_more(frame: Any) -> bool:
    """lz4 keeps what it could not put out at once."""
    return frame is not None and not getattr(frame, "needs_input", True)


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), _INPUT_BYTES):
            yield piece[at : at + _INPUT_BYTES]


def compressed(body: bytes, accepted: str) -> tuple[bytes, str]:
    """(body, Content-Encoding) in the best encoding the client accepts."""
    offered = {part.split(";")[0].strip() for part in accepted.split(",")}
    if "lz4" in offered:
        return bytes(lz4.frame.compress(body)), "lz4"
    if "zstd" in offered:
        return zstandard.compress(body), "zstd"
    if "gzip" in offered:
        return gzip.compress(body, 3), "gzip"
    return body, ""


def form(body: bytes, content_type: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """(fields, files) of a ``multipart/form-data`` body: what would make a URL too long, and tables.

    Raises BodyError when it is no form.
    """
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise BodyError("the body is not multipart/form-data")
    fields, files = {}, {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise BodyError("a part of the form has no name")
        if part.get_filename() is None:
            fields[name] = payload.decode()
        else:
            files[name] = payload
    return fields, files
