"""Records as they lie on the log: one run of bytes a producer batch, instead of an object a record.

A Kafka record (format 2) is laid out as an Avro record is: zigzag varints, and bytes behind their length. So whole
producer batches are one Avro block (``block.py``) and nobody need take them apart, unless some value is damaged or
comes with headers: then they are unpacked, as aiokafka unpacks them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast, overload

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.record.default_records import DefaultRecordBatch

_HEAD = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, epoch, magic, checksum, attributes, last offset delta, first and largest timestamp, producer id,
epoch and sequence, number of records (Kafka's documentation, "Record Batch")."""
_AFTER_LENGTH = struct.calcsize(">qi")
_CODEC_MASK = 7
_FORMAT = 2
_UNPACKED: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}


@dataclass(frozen=True, slots=True)
class PackedRecords:
    """``count`` records at consecutive offsets, uncompressed."""

    count: int
    records: bytes

    def unpack(self) -> list[bytes | None]:
        """The value of each. Raises aiokafka's CorruptRecordException where they are no records."""
        size = _HEAD.size - _AFTER_LENGTH + len(self.records)
        head = _HEAD.pack(0, size, 0, _FORMAT, 0, 0, self.count - 1, 0, 0, -1, -1, -1, self.count)
        return [record.value for record in DefaultRecordBatch(head + self.records)]


def pack(raw: memoryview) -> PackedRecords | None:
    """The records of one producer batch; None where some are missing from its middle, as after a compaction."""
    *_, attributes, last_offset_delta, _, _, _, _, _, count = _HEAD.unpack_from(raw)
    if last_offset_delta + 1 != count:
        return None
    return PackedRecords(count, _UNPACKED[attributes & _CODEC_MASK](bytes(raw[_HEAD.size :])))


class PackedValues(Sequence[bytes | None]):
    """The values of packed records: unpacked when somebody looks at one."""

    def __init__(self, parts: Sequence[PackedRecords]) -> None:
        self.parts = tuple(parts)
        self.bytes = sum(len(part.records) for part in self.parts)
        self._length = sum(part.count for part in self.parts)
        self._values: list[bytes | None] | None = None

    def unpacked(self) -> list[bytes | None]:
        """All of them."""
        if self._values is None:
            self._values = list(chain.from_iterable(part.unpack() for part in self.parts))
        return self._values

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(self.unpacked())

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes | None]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes | None] | None:
        if isinstance(place, slice) and place.indices(len(self)) == (0, len(self), 1):
            return self
        return self.unpacked()[place]


Values = Sequence[bytes | None]


def joined_values(values: Sequence[Values]) -> Values:
    """Several batches' values as one, packed as long as all of them are."""
    if all(isinstance(some, PackedValues) for some in values):
        return PackedValues([part for some in values for part in cast(PackedValues, some).parts])
    return list(chain.from_iterable(values))
