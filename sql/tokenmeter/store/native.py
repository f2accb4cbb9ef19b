"""Native blocks as a client of a newer protocol wants them: chDB writes those of the oldest.

A client that says ``client_protocol_version`` finds before each block what the block is of, after each column's type
whether its values are packed in a special way (never), and in the type of a DateTime its time zone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from tokenmeter.store.engine_error import STD_EXCEPTION, EngineError
from tokenmeter.store.native_walk import Short, Unwalkable, Walk

WITH_TIME_ZONE, WITH_CUSTOM_SERIALIZATION = 54_337, 54_454
"""Versions of the protocol from which a block says more."""
_BLOCK_INFO = struct.pack("<BBBiB", 1, 0, 2, -1, 0)
"""No overflow row, no bucket: as of every block that is an answer's."""


def reframed(pieces: Iterable[bytes], version: int, types: Mapping[str, str]) -> Iterator[bytes]:
    """The answer's blocks for a client of ``version``. Each piece of a streamed answer is one block.

    ``types``: the columns' with their time zones, by name.

    Raises EngineError for a type whose end cannot be found (Dynamic, Variant, JSON, states of aggregate functions) when
    the client wants something behind it.
    """
    left = b""
    for piece in pieces:
        left += piece
        while left:
            try:
                block, end = _block(left, version, types)
            except Short:
                break
            except Unwalkable as error:
                if version >= WITH_CUSTOM_SERIALIZATION:
                    message = f"The embedded server cannot send {error} to this client. (NOT_IMPLEMENTED)"
                    raise EngineError(48, f"Code: 48. DB::Exception: {message}") from error
                block, end = _BLOCK_INFO + left, len(left)
            yield block
            left = left[end:]
    if left:
        message = "The engine's answer ends within a block. (STD_EXCEPTION)"
        raise EngineError(STD_EXCEPTION, f"Code: {STD_EXCEPTION}. DB::Exception: {message}")


def _block(data: bytes, version: int, types: Mapping[str, str]) -> tuple[bytes, int]:
    """(the block as it is sent, where it ends in ``data``)."""
    walk, sent = Walk(data), bytearray(_BLOCK_INFO)
    columns, rows = walk.number(), walk.number()
    sent += data[: walk.at]
    for _ in range(columns):
        begins = walk.at
        name = walk.text()
        sent += data[begins : walk.at]
        kind = walk.text()
        zoned = kind == "DateTime" and version >= WITH_TIME_ZONE
        sent += _text(types.get(name, kind) if zoned else kind)
        if version >= WITH_CUSTOM_SERIALIZATION:
            sent += b"\0"
        begins = walk.at
        if rows:
            walk.column(kind, rows)
        sent += data[begins : walk.at]
    return bytes(sent), walk.at


def _text(text: str) -> bytes:
    encoded, head = text.encode(), bytearray()
    size = len(encoded)
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + encoded
