"""A producer batch as a broker hands it out."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tokenmeter.kafka.packed import PackedValues, pack

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value, headers."""


def producer_batch(records: Sequence[Record], codec: int = 0, first_offset: int = 0, step: int = 1) -> bytes:
    """``step``: only each such offset is left of it, as after a compaction."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 24)
    for number, (key, body, headers) in enumerate(records):
        builder.append(number * step, 1_000, key, body, headers)
    data = bytearray(builder.build())
    data[:8] = first_offset.to_bytes(8, "big")  # the checksum begins behind it
    return bytes(data)


def plain(values: Sequence[bytes | None]) -> list[Record]:
    """Records as our producers write them."""
    return [(b"cus_%d" % number, body, []) for number, body in enumerate(values)]


def packed(values: Sequence[bytes | None]) -> PackedValues:
    """Values still inside the records that carried them."""
    part = pack(memoryview(producer_batch(plain(values))))
    assert part is not None
    return PackedValues([part])
