"""ClickHouse's own compression (``compress=1``, ``decompress=1``): blocks of lz4 or zstd, each with its checksum.

A block is its checksum (CityHash128 of all that follows), a byte for the method, its size with this head of 9 bytes,
its size when decompressed, and the data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from tokenmeter.store.body import BodyError

BLOCK_BYTES_MAX = 1 << 20
"""Of what we send, before it is compressed; a client's may be larger ..."""
CLIENT_BLOCK_BYTES_MAX = 64 << 20
"""... up to this."""
NONE, LZ4, ZSTD = 0x02, 0x82, 0x90
METHODS = {"none": NONE, "lz4": LZ4, "zstd": ZSTD}
_CHECKSUM = struct.Struct("<QQ")
_HEAD = struct.Struct("<BII")
_HALF = (1 << 64) - 1


def compressed_blocks(pieces: Iterable[bytes], method: int = LZ4) -> Iterator[bytes]:
    """The answer as blocks."""
    for piece in pieces:
        for at in range(0, len(piece), BLOCK_BYTES_MAX):
            yield _block(piece[at : at + BLOCK_BYTES_MAX], method)


def _block(data: bytes, method: int) -> bytes:
    if method == LZ4:
        packed = bytes(lz4.block.compress(data, store_size=False))
    else:
        packed = zstandard.compress(data, 1) if method == ZSTD else data
    whole = _HEAD.pack(method, len(packed) + _HEAD.size, len(data)) + packed
    return _checksum(whole) + whole


def _checksum(block: bytes) -> bytes:
    found = CityHash128(block)
    return _CHECKSUM.pack(found >> 64, found & _HALF)


def decompressed_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A client's blocks, decompressed. Raises BodyError for a cut one, and for one that is not what it was."""
    left, given = b"", iter(pieces)

    def fill(size: int) -> bool:
        nonlocal left
        while len(left) < size:
            piece = next(given, None)
            if piece is None:
                return False
            left += piece
        return True

    start = _CHECKSUM.size + _HEAD.size
    while fill(1):
        if not fill(start):
            raise BodyError("the last compressed block is cut")
        method, size, raw = _HEAD.unpack(left[_CHECKSUM.size : start])
        if not _HEAD.size <= size <= CLIENT_BLOCK_BYTES_MAX or raw > CLIENT_BLOCK_BYTES_MAX:
            raise BodyError(
                f"a compressed block says {size} bytes, {raw} decompressed: at most {CLIENT_BLOCK_BYTES_MAX}"
            )
        if not fill(_CHECKSUM.size + size):
            raise BodyError("the last compressed block is cut")
        checksum, block = left[: _CHECKSUM.size], left[_CHECKSUM.size : _CHECKSUM.size + size]
        left = left[_CHECKSUM.size + size :]
        if checksum != _checksum(block):
            raise BodyError("a compressed block has another checksum than it says")
        yield _unpacked(block[_HEAD.size :], method, raw)


def _unpacked(packed: bytes, method: int, raw: int) -> bytes:
    try:
        if method == LZ4:
            data = lz4.block.decompress(packed, uncompressed_size=raw)
        elif method == ZSTD:
            data = zstandard.decompress(packed, max_output_size=raw)
        else:
            data = packed
    except (lz4.block.LZ4BlockError, zstandard.ZstdError, ValueError) as error:
        raise BodyError(f"a compressed block is damaged: {error}") from error
    if method not in METHODS.values() or len(data) != raw:
        raise BodyError(f"a compressed block of method {method:#x} has {len(data)} bytes instead of {raw}")
    return bytes(data)
