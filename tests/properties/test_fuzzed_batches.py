"""One damaged value in a batch never changes a neighbour's row, and is itself rejected or read as every reader would.
Every other batch is still inside the Kafka records that carried it.

The control reads the same batches without sentinel and without prefix check, and must be caught changing neighbours.
"""

from __future__ import annotations

import io
import random

import numpy as np
import polars as pl
import pytest

from support.events import NOW_MS, value
from support.producer_batch import packed
from support.seeds import seeds
from tokenmeter.events import Poison, wire
from tokenmeter.events.contract import latest
from tokenmeter.events.varint import varint
from tokenmeter.flow.columns.block import SYNC, header
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import validate

RUNS, RUNS_OFTEN, BATCHES = 8, 2, 500
CONTROL_BATCHES = 1_000
SIZE = 40
VALUES = [value(number) for number in range(SIZE)]
CLEAN = decode(VALUES).frame


def damaged(chance: random.Random, original: bytes) -> bytes:
    """Flip a bit, cut, drop, insert or overwrite bytes, add a second record, or replace everything."""
    data = bytearray(original)
    at = chance.randrange(len(data))
    match chance.randrange(7):
        case 0:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            del data[at:]
        case 2:
            del data[at : at + chance.randrange(1, 9)]
        case 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        case 4:
            data[at : at + 8] = chance.randbytes(8)
        case 5:  # a second record behind the first: every later row of an unproved block is another's
            data += original[wire.PREFIX_BYTES :]
        case _:
            data = bytearray(chance.randbytes(chance.randrange(300)))
    return bytes(data)


@pytest.mark.parametrize("seed", seeds(RUNS, RUNS_OFTEN))
def test_no_neighbour_changes_and_both_decoders_agree(seed: int) -> None:
    chance = random.Random(seed)
    rejected = 0
    for number in range(BATCHES):
        place = chance.randrange(SIZE)
        batch = [*VALUES]
        batch[place] = damaged(chance, VALUES[place])
        decoded = decode(packed(batch) if number % 2 else batch)
        others = pl.col(INDEX) != place
        assert decoded.frame.filter(others).equals(CLEAN.filter(others)), batch[place]
        assert {bad.index for bad in decoded.rejected} <= {place}
        try:
            wire.decode(batch[place], expect="usage_event")
            readable = True
        except Poison:
            readable = False
        if decoded.rejected:
            rejected += 1
            assert not readable or decoded.rejected[0].reason == "range"
        else:
            # A time beyond what Python can hold is left to the validate, which refuses it.
            refused = validate(decoded.frame, np.full(SIZE, NOW_MS))[1][INDEX].to_list()
            assert readable or place in refused, batch[place]
    assert rejected > BATCHES / 2


def read_without_proof(values: list[bytes]) -> pl.DataFrame | None:
    """The mutant: believes whatever the block reader says."""
    head = header(latest("usage_event"))
    body = b"".join(value[wire.PREFIX_BYTES :] for value in values)
    try:
        return pl.read_avro(io.BytesIO(head + varint(len(values)) + varint(len(body)) + body + SYNC))
    except (Exception, pl.exceptions.PanicException):
        return None


def test_the_control_without_proofs_lets_neighbours_change() -> None:
    chance = random.Random(7)
    clean = read_without_proof(VALUES)
    assert clean is not None
    changed = 0
    for _ in range(CONTROL_BATCHES):
        place = chance.randrange(SIZE)
        batch = [*VALUES]
        batch[place] = damaged(chance, VALUES[place])
        frame = read_without_proof(batch)
        if frame is not None and frame.height == SIZE:
            keep = pl.Series([row != place for row in range(SIZE)])
            changed += not frame.filter(keep).equals(clean.filter(keep))
    assert changed > 0
