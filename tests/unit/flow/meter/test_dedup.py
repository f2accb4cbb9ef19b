"""The horizon against the slow, obvious mutant, wherever the log is cut."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tokenmeter.flow.meter.dedup import CONFLICT, DUPLICATE, FRESH, DedupKeys, Horizon

HORIZON_MS = 1_000


def slow_marks(rows: list[tuple[int, int, int]]) -> list[int]:
    """Dedup as one would explain it: the most recent event of an identity, if it is within the horizon."""
    newest: dict[int, tuple[int, int]] = {}
    answers = []
    for identity, payload, at in rows:
        before = newest.get(identity)
        if before is None or at - before[1] > HORIZON_MS:
            answers.append(FRESH)
        else:
            answers.append(DUPLICATE if before[0] == payload else CONFLICT)
        newest[identity] = (payload, at)
    return answers


def as_keys(rows: list[tuple[int, int, int]]) -> DedupKeys:
    identity, payload, at = (np.array(column) for column in zip(*rows, strict=True))
    # Identities share their high halves in fours, so that the walk over equal ones is used.
    return DedupKeys((identity // 4).astype(np.uint64), identity.astype(np.uint64), payload.astype(np.uint64), at)


@pytest.mark.parametrize("seed", range(30))
def test_dedup_is_exact_however_the_log_is_cut_and_wherever_it_is_rebuilt(seed: int) -> None:
    chance = random.Random(seed)
    at, rows = 0, []
    for _ in range(2_000):
        at += chance.randrange(4)
        rows.append((chance.randrange(400), chance.randrange(2), at))
    wanted = slow_marks(rows)
    assert len(set(wanted)) == 3
    horizon, begin, found = Horizon(HORIZON_MS), 0, []
    while begin < len(rows):
        end = begin + chance.randrange(1, 200)
        if chance.random() < 0.2:  # the worker died: its horizon is rebuilt from the log
            horizon = Horizon(HORIZON_MS)
            last = rows[begin - 1][2] if begin else 0
            window = [row for row in rows[:begin] if last - row[2] <= HORIZON_MS]
            if window:
                horizon.admit(as_keys(window))
        found += horizon.admit(as_keys(rows[begin:end])).tolist()
        begin = end
    assert found == wanted
