"""Avro's forms of whole numpy columns: varints, strings, decimals, and rows laid out from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
VARINT_BYTES_MAX = 10
_ONE_BYTE = 64
"""Numbers from -64 to 63 are one byte."""

Piece = tuple[I64, U8]
"""(bytes of each row, all bytes one after the other)"""


class Rows:
    """The output being laid out: pieces of every row, one column after the other.

    What all rows have in common is gathered and laid out once: most lines have no images and no cache writes.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._pieces: list[Piece] = []
        self._same = b""

    def add_same(self, data: bytes) -> None:
        """The same bytes for every row."""
        self._same += data

    def add(self, piece: Piece) -> None:
        """Each row's own bytes."""
        self._flush()
        self._pieces.append(piece)

    def values(self) -> list[bytes]:
        """The rows."""
        self._flush()
        lengths = np.sum([piece for piece, _ in self._pieces], axis=0, dtype=np.int64)
        ends = np.cumsum(lengths)
        at = ends - lengths
        out = np.empty(int(ends[-1]) if self.rows else 0, np.uint8)
        for piece, data in self._pieces:
            out[spread(at, piece)] = data
            at = at + piece
        text = out.tobytes()
        begins = (ends - lengths).tolist()
        return [text[begin:end] for begin, end in zip(begins, ends.tolist(), strict=True)]

    def _flush(self) -> None:
        if self._same:
            data = np.frombuffer(self._same, np.uint8)
            self._pieces.append((np.full(self.rows, len(data)), np.tile(data, self.rows)))
            self._same = b""


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


def varints(numbers: I64) -> Piece:
    """Zigzag varints."""
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    if len(numbers) and numbers.min() >= -_ONE_BYTE and numbers.max() < _ONE_BYTE:
        return np.ones(len(numbers), np.int64), zigzag.astype(np.uint8)
    lengths = np.ones(len(numbers), np.int64)
    for size in range(1, VARINT_BYTES_MAX):
        more = zigzag >= np.uint64(1) << np.uint64(7 * size)
        if not more.any():
            break
        lengths += more
    begins = np.cumsum(lengths) - lengths
    data = np.empty(int(lengths.sum()), np.uint8)
    for place in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > place)
        part = (zigzag[rows] >> np.uint64(7 * place)) & np.uint64(0x7F)
        last = lengths[rows] == place + 1
        data[begins[rows] + place] = part | np.where(last, np.uint64(0), np.uint64(0x80))
    return lengths, data


def decimals(high: I64, low: U64) -> Piece:
    """Length-prefixed big-endian two's complement of 128-bit numbers, given as two words.

    As long as the magnitude and a sign bit need: the record encoder gives -128 two bytes, and so does this.
    """
    sign = (high >> 63).view(np.uint64)  # all ones where negative
    flipped_low = low ^ sign
    magnitude_low = flipped_low + (sign & np.uint64(1))
    carry = (magnitude_low < flipped_low).astype(np.uint64)
    magnitude = _bytes((high.view(np.uint64) ^ sign) + carry, magnitude_low)
    idle = (magnitude[:, :-1] == 0) & (magnitude[:, 1:] < 0x80)
    sizes = 16 - np.logical_and.accumulate(idle, axis=1).sum(axis=1, dtype=np.int64)
    text = _bytes(high.view(np.uint64), low)[np.arange(16) >= (16 - sizes)[:, None]]
    lengths = sizes + 1
    data = np.empty(int(lengths.sum()), np.uint8)
    begins = np.cumsum(lengths) - lengths
    data[begins] = (sizes << 1).astype(np.uint8)  # the varint of at most 16
    data[spread(begins + 1, sizes)] = text
    return lengths, data


def _bytes(high: U64, low: U64) -> U8:
    """Two words a row as 16 bytes, the highest first."""
    return np.stack([high, low], axis=1).byteswap().view(np.uint8).reshape(len(high), 16)
