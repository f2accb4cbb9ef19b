"""A batch of records, trimmed."""

from __future__ import annotations

from tokenmeter.kafka.batch import RecordBatch, Run


def test_trimming_a_batch_keeps_offsets_and_values_together() -> None:
    batch = RecordBatch("t", 0, 5, 15, [b"5", b"6", b"9", b"10"], [Run(5, 2, 1), Run(9, 2, 2)], 4)
    rest = batch.from_offset(6)
    assert (rest.values, rest.offsets().tolist()) == ([b"6", b"9", b"10"], [6, 9, 10])
    assert rest.appended_at_ms().tolist() == [1, 2, 2]
