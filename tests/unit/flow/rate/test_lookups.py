"""The tables that ratings are found in are dictionaries, however keys collide."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from tokenmeter.flow.rate.int_table import MISSING, Ints, IntTable
from tokenmeter.flow.rate.lookup import Lookup, hash_of

SCHEMA: dict[str, pl.DataType] = {"name": pl.String(), "number": pl.Int64()}


@pytest.mark.parametrize("spread", [1, 2**40, 977])
def test_an_int_table_finds_what_was_added_and_nothing_else(spread: int) -> None:
    chance = np.random.default_rng(spread)
    table, held = IntTable(), {-(2**63): 7}
    table.add(np.array([-(2**63)]), np.array([7], np.int32))
    for _ in range(30):
        keys = np.unique(chance.integers(-3_000, 3_000, 200)) * spread
        new = np.array([key for key in keys.tolist() if key not in held], np.int64)
        table.add(new, np.arange(len(new), dtype=np.int32))
        held.update(zip(new.tolist(), range(len(new)), strict=True))
        asked = chance.integers(-4_000, 4_000, 500) * spread
        assert table.find(asked).tolist() == [held.get(key, MISSING) for key in asked.tolist()]
    assert len(table) == len(held)
    assert table.find(np.array([-(2**63)])).tolist() == [7]


def all_alike(keys: pl.DataFrame) -> Ints:
    return np.full(keys.height, 5, np.int64)


def a_few(keys: pl.DataFrame) -> Ints:
    return hash_of(keys) % 16


@pytest.mark.parametrize("hashed", [hash_of, a_few, all_alike])
def test_rows_of_equal_hash_are_told_apart(hashed: object) -> None:
    chance = random.Random(3)
    known: dict[tuple[str | None, int], int] = {}

    def resolve(unseen: pl.DataFrame) -> list[int]:
        for row in unseen.rows():
            assert row not in known, "a row is resolved once"
            known[row] = len(known)
        return [known[row] for row in unseen.rows()]

    lookup = Lookup(SCHEMA, resolve, hashed)  # type: ignore[arg-type]
    for _ in range(20):
        rows = [(chance.choice([None, "a", "b", ""]), chance.randrange(12)) for _ in range(25)]
        keys = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        assert lookup.find(keys).tolist() == [known.get(row, MISSING) for row in rows]
        lookup.learn(keys)
        assert lookup.find(keys).tolist() == [known[row] for row in rows]


def test_a_mutant_that_trusts_the_hash_is_seen() -> None:
    class Trusting(Lookup):
        def find(self, keys: pl.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
            places = self._places.find(self._hash_of(keys))
            return places if not len(self._known[1]) else self._known[1].take(places)

    lookup = Trusting(SCHEMA, lambda unseen: list(range(unseen.height)), all_alike)
    keys = pl.DataFrame([("a", 1), ("b", 2)], schema=SCHEMA, orient="row")
    lookup.learn(keys)
    assert lookup.find(keys).tolist() != [0, 1]
