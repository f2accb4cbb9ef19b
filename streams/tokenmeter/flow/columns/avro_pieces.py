"""Lays out rows of Avro from whole numpy columns.

A row is a sequence of pieces: numbers, runs of bytes, and what all rows have in common. How long each piece is tells
where it stands, and then the numbers of all columns are written together: a page of two hundred lines has as many
columns as one of two hundred thousand, and each call of numpy costs as much as a hundred numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokenmeter.events.varint import varint

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
VARINT_BYTES_MAX = 10


class Rows:
    """The rows being laid out, piece after piece."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._pieces: list[bytes | int | tuple[I64, U8]] = []
        """What all rows have, which of the numbers, or (bytes of each row, all bytes)."""
        self._numbers: list[I64] = []
        self._absent: list[tuple[int, Bools]] = []

    def add_same(self, data: bytes) -> None:
        """The same bytes for every row."""
        self._pieces.append(data)

    def add_numbers(self, numbers: I64, present: Bools | None = None) -> None:
        """A long for each row, or for those that are present."""
        if present is not None:
            self._absent.append((len(self._numbers), ~present))
        self._pieces.append(len(self._numbers))
        self._numbers.append(numbers)

    def add_bytes(self, lengths: I64, data: U8) -> None:
        """Each row's own bytes, one after the other; their length is a number to be added before."""
        first = int(lengths[0])
        if len(data) == first * self.rows and (data.reshape(self.rows, first) == data[:first]).all():
            self._pieces.append(data[:first].tobytes())
        else:
            self._pieces.append((lengths, data))

    def values(self) -> list[bytes]:
        """The rows."""
        zigzag, sizes = self._zigzag()
        pieces = self._common(zigzag, sizes)
        numbers = [piece for piece in pieces if isinstance(piece, int)]
        zigzag, sizes = zigzag[numbers], sizes[numbers]
        lengths = sizes.sum(axis=0)
        for piece in pieces:
            if not isinstance(piece, int):
                lengths += len(piece) if isinstance(piece, bytes) else piece[0]
        ends = np.cumsum(lengths)
        out = np.empty(int(ends[-1]), np.uint8)
        at = ends - lengths
        starts, number = np.empty_like(sizes), 0
        for piece in pieces:
            if isinstance(piece, bytes):
                _repeat(out, at, piece)
                at = at + len(piece)
            elif isinstance(piece, int):
                starts[number] = at
                at = at + sizes[number]
                number += 1
            else:
                out[spread(at, piece[0])] = piece[1]
                at = at + piece[0]
        _write(out, starts, zigzag, sizes)
        text = out.tobytes()
        begins = (ends - lengths).tolist()
        return [text[begin:end] for begin, end in zip(begins, ends.tolist(), strict=True)]

    def _zigzag(self) -> tuple[U64, I64]:
        """Zigzag numbers and how many bytes each takes, shape (numbers, rows); none where it is absent."""
        numbers = np.array(self._numbers, np.int64).reshape(-1, self.rows)
        zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
        sizes = np.ones(zigzag.shape, np.int64)
        for size in range(1, VARINT_BYTES_MAX):
            more = zigzag >= np.uint64(1) << np.uint64(7 * size)
            if not more.any():
                break
            sizes += more
        for number, absent in self._absent:
            sizes[number, absent] = 0
        return zigzag, sizes

    def _common(self, zigzag: U64, sizes: I64) -> list[bytes | int | tuple[I64, U8]]:
        """The pieces, those together that all rows have in common: most lines have no images and no cache writes."""
        alike = (zigzag == zigzag[:, :1]).all(axis=1) & (sizes == sizes[:, :1]).all(axis=1)
        pieces: list[bytes | int | tuple[I64, U8]] = []
        for piece in self._pieces:
            same = piece
            if isinstance(piece, int) and alike[piece]:
                same = varint(int(self._numbers[piece][0])) if sizes[piece, 0] else b""
            if isinstance(same, bytes) and pieces and isinstance(before := pieces[-1], bytes):
                pieces[-1] = before + same
            else:
                pieces.append(same)
        return pieces


def _repeat(out: U8, at: I64, data: bytes) -> None:
    """The same bytes at each place."""
    for place, byte in enumerate(data):
        out[at + place if place else at] = byte


def _write(out: U8, starts: I64, zigzag: U64, sizes: I64) -> None:
    """Varints: seven bits a byte, low ones first."""
    at, left, rest = starts.ravel(), sizes.ravel(), zigzag.ravel()
    if not left.all():
        there = np.flatnonzero(left)
        at, left, rest = at[there], left[there], rest[there]
    while len(at):
        longer = left > 1
        out[at] = (rest & np.uint64(0x7F)).astype(np.uint8) | (longer.view(np.uint8) << np.uint8(7))
        more = np.flatnonzero(longer)
        at, left, rest = at[more] + 1, left[more] - 1, rest[more] >> np.uint64(7)


def spread(starts: I64, lengths: I64) -> I64:
    """For each row the positions starts, starts + 1, … (lengths of them), all rows in one array."""
    if not len(lengths):
        return lengths
    same = int(lengths[0])
    if (lengths == same).all():
        return starts if same == 1 else (starts[:, None] + np.arange(same)).ravel()
    ends = np.cumsum(lengths)
    positions: I64 = np.arange(int(ends[-1]), dtype=np.int64)
    positions += np.repeat(starts - (ends - lengths), lengths)
    return positions


def decimals(high: I64, low: U64) -> tuple[I64, U8]:
    """(bytes of each, all bytes): big-endian two's complement of 128-bit numbers, given as two words.

    As long as the magnitude and a sign bit need: the record encoder gives -128 two bytes, and so does this.
    """
    sign = (high >> 63).view(np.uint64)  # all ones where negative
    flipped_low = low ^ sign
    magnitude_low = flipped_low + (sign & np.uint64(1))
    carry = (magnitude_low < flipped_low).astype(np.uint64)
    magnitude = _bytes((high.view(np.uint64) ^ sign) + carry, magnitude_low)
    idle = (magnitude[:, :-1] == 0) & (magnitude[:, 1:] < 0x80)
    sizes = 16 - np.logical_and.accumulate(idle, axis=1).sum(axis=1, dtype=np.int64)
    return sizes, _bytes(high.view(np.uint64), low)[np.arange(16) >= (16 - sizes)[:, None]]


def _bytes(high: U64, low: U64) -> U8:
    """Two words a row as 16 bytes, the highest first."""
    return np.stack([high, low], axis=1).byteswap().view(np.uint8).reshape(len(high), 16)
