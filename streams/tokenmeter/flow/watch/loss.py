"""A LOSS is a fact and no probability: cost over charge (negative margin), reported cost against cost (price mismatch).

Lost over the tolerance: max(0, value − tolerance × exposure), in currency (rows). Any such bucket scores CERTAIN; the
gate decides whether it is told.
"""

from __future__ import annotations

import numpy as np

from tokenmeter.flow.watch.bucket import Found, Judged, Plan
from tokenmeter.flow.watch.episodes import NONE, Seen, Side, accumulate, advance
from tokenmeter.flow.watch.exact import Floats, Mask
from tokenmeter.flow.watch.groups import votes_of
from tokenmeter.flow.watch.settings import Kind
from tokenmeter.flow.watch.state import Columns

CERTAIN = 99.0


def step(c: Columns, plan: Plan, bucket: int, value: Floats, exposure: Floats, judged: Mask) -> Judged:
    """Judge one block's bucket; ``value`` and ``exposure`` (rows) in currency. Nothing is learned."""
    lost = np.maximum(value - plan.measure.tolerance * exposure, 0)
    score = np.where((lost > 0) & judged, CERTAIN, 0).astype(np.float32)
    side = Side.up(c)
    accumulate(side, bucket, (score > 0) | (side.state > NONE), value)
    rows = np.flatnonzero((score > 0) | (side.state > NONE))
    zero, one = np.zeros(len(rows), np.float32), np.ones(len(rows), np.float32)
    kind = np.full(len(rows), Kind.LOSS, np.uint8)
    seen = Seen(rows, score[rows], kind, lost[rows] <= 0, zero, value[rows], value[rows], zero, one)
    alerts, _, _ = advance(side, seen, bucket, plan.measure, plan.settings)
    votes = votes_of(c.group, side.excess, seen, plan.settings)
    alerts["group"] = c.group[alerts["row"]]
    c.age += 1
    c.idle += 1
    c.idle *= exposure == 0
    return Judged(Found(alerts, votes), Found(alerts[:0], votes[:0]), zero[:0])
