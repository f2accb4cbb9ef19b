"""The life of an alert: one open per subject and direction, and it ends.

| from     | when                                                        | to       | told       |
|----------|-------------------------------------------------------------|----------|------------|
| none     | the score reaches the sensitivity, impact under the gate    | recorded |            |
| none     | … and the impact passes the gate                            | open     | opened     |
| recorded | the impact passes the gate while it is not calm             | open     | opened     |
| open     | excess, or its pace over an hour, is WORSE × what was told  | open     | worse      |
| any      | calm for QUIET_MINUTES                                      | none     | closed     |
| open     | told NEW_NORMAL_HOURS ago, not calm: the level becomes this | none     | new normal |
| recorded | UNTOLD_HOURS old and not calm: likewise                     | none     |            |

What begins within REPEAT_HOURS of an episode's end needs REPEAT_SCORE more: it is likely the same cause.

Money gates what is told, never what is found. Impact is the excess (value over expectation since the run began, in the
subject's currency) or one hour at the present pace; the gate is GATE_DAY_SHARE of its typical day, between a floor and
an amount that is always enough. Only rows with a score or an open episode are touched here, so the cost follows what
happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tokenmeter.flow.watch import settings
from tokenmeter.flow.watch.exact import Bytes, Doubles, Floats, Ints, Mask, at_least
from tokenmeter.flow.watch.state import Columns

NONE, RECORDED, OPEN = 0, 1, 2


class Told(IntEnum):
    """What is said of an episode. GROUPED and RECORDED are kept, not sent."""

    OPENED = 1
    WORSE = 2
    CLOSED = 3
    NEW_NORMAL = 4
    RECORDED = 5
    GROUPED = 6


# An enum's members are looked up slowly, and there are a dozen here a block.
OPENED, SAID_WORSE, CLOSED, NEW_NORMAL, SAID_RECORDED = (int(told) for told in list(Told)[:5])

ALERT = np.dtype(
    [
        ("row", "<i4"),  # the subject, −1 for a whole group
        ("group", "<i4"),
        ("bucket", "<i8"),
        ("since", "<i8"),  # the bucket in which the run began
        ("told", "u1"),
        ("kind", "u1"),
        ("score", "<f4"),  # −log10 p
        ("expected", "<f8"),  # value of this bucket
        ("seen", "<f8"),
        ("excess", "<f8"),  # value over expectation since then
        ("amount", "<f8"),  # the same in currency, 0 when it has no price
        ("pace", "<f8"),  # in currency an hour from now at this pace
    ]
)


@dataclass(frozen=True)
class Side:
    """One direction's columns of a block (rows each): ``sum`` and what an episode needs."""

    sum: Floats
    excess: Floats
    begun: Ints
    state: Bytes
    kind: Bytes
    opened: Ints
    last: Ints
    told: Floats

    @classmethod
    def up(cls, c: Columns) -> Side:
        return cls(c.sum_up, c.excess_up, c.begun_up, c.state_up, c.kind_up, c.opened_up, c.last_up, c.told_up)

    @classmethod
    def down(cls, c: Columns) -> Side:
        side = c.begun_down, c.state_down, c.kind_down, c.opened_down, c.last_down, c.told_down
        return cls(c.sum_down, c.excess_down, *side)


@dataclass(frozen=True)
class Seen:
    """A block's bucket as the episodes of one direction need it; every column is of ``rows`` only."""

    rows: NDArray[np.intp]
    score: Floats
    kind: Bytes
    calm: Mask
    expected: Floats  # value units, as are all below
    value: Floats
    excess: Floats  # of this bucket
    day: Floats  # typical
    price: Floats  # currency per value unit


def accumulate(side: Side, bucket: int, running: Mask, excess: Floats) -> None:
    """Σ of the excess while the sum is off zero; ``begun`` is when it left it."""
    fresh = (side.excess == 0) & running
    side.begun[np.flatnonzero(fresh)] = bucket
    now = side.excess
    now += excess
    at_least(now, 0, out=now)
    now *= running.astype(np.float32)


def advance(
    side: Side, seen: Seen, bucket: int, measure: settings.Measure, plan: settings.Settings
) -> tuple[NDArray[np.void], NDArray[np.intp], NDArray[np.intp]]:
    """Move the episodes of the rows in ``seen`` by one bucket; returns what to tell, the rows of a new normal and all
    rows whose episode ended."""
    rows, score, price = seen.rows, seen.score, seen.price
    state = side.state[rows]
    excess = side.excess[rows]
    pace = np.maximum(seen.excess, 0) * plan.buckets_hour
    impact = np.maximum(excess, pace)
    priced = price > 0
    gate = seen.day * settings.GATE_DAY_SHARE
    gate = np.where(
        priced, np.clip(gate * price, measure.gate_floor, measure.gate_enough), np.maximum(gate, measure.gate_values)
    )
    passes = impact * np.where(priced, price, 1) >= gate
    fires = score >= plan.score
    moved = fires | ~seen.calm

    said: Bytes = np.zeros(len(rows), np.uint8)
    last = side.last[rows]
    again = (last > 0) & (bucket - last < settings.REPEAT_HOURS * plan.buckets_hour)
    begins = (state == NONE) & fires & (~again | (score >= plan.score + settings.REPEAT_SCORE))
    said[begins & ~passes] = SAID_RECORDED
    said[(begins | ((state == RECORDED) & moved)) & passes] = OPENED
    worse = (state == OPEN) & moved & (impact >= settings.WORSE * side.told[rows])
    said[worse] = SAID_WORSE
    running = begins | (state > NONE)
    last = np.where(moved & running, bucket, last)
    opened = np.where(begins | (said == OPENED), bucket, side.opened[rows])
    over = running & (bucket - last >= settings.QUIET_MINUTES * 60 / plan.bucket_s)
    hours = np.where(state == OPEN, settings.NEW_NORMAL_HOURS, settings.UNTOLD_HOURS)
    shifted = running & moved & (bucket - opened >= hours * plan.buckets_hour)
    ends = over | shifted
    said[over] = np.where(state[over] == OPEN, CLOSED, 0)
    said[shifted] = np.where(state[shifted] == OPEN, NEW_NORMAL, 0)

    kind = np.where(begins | (said == OPENED) | worse, seen.kind, side.kind[rows]).astype(np.uint8)
    tells = said > 0
    alerts = np.zeros(int(tells.sum()), ALERT)
    alerts["row"], alerts["bucket"] = rows[tells], bucket
    alerts["since"], alerts["told"], alerts["kind"] = side.begun[rows][tells], said[tells], kind[tells]
    alerts["score"], alerts["expected"] = score[tells], seen.expected[tells]
    alerts["seen"], alerts["excess"] = seen.value[tells], excess[tells]
    amount: Doubles = excess.astype(np.float64) * price
    alerts["amount"] = amount[tells]
    alerts["pace"] = (amount + pace.astype(np.float64) * price)[tells]

    opens = (said == OPENED) | worse
    state = np.where(opens, OPEN, np.where(said == SAID_RECORDED, RECORDED, state))
    side.state[rows] = np.where(ends, NONE, state)
    side.told[rows] = np.where(opens, impact, side.told[rows])
    side.kind[rows], side.last[rows], side.opened[rows] = kind, last, opened
    ended = rows[ends]
    side.sum[ended] = side.excess[ended] = 0
    return alerts, rows[shifted], ended
