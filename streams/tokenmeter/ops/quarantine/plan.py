"""Decides what of the quarantine would be accepted now. Pure: time and what is counted come from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tokenmeter.events import accept
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import REASON, validate

SEND = "send"
COUNTED = "counted"
REPEAT = "repeat"
CONFLICT = "conflict"

Identity = tuple[str, str]
"""(customer_id, event_id)"""
Position = tuple[int, int]
"""(partition, offset) on usage.events."""
Counted = Callable[[Sequence[Identity]], Mapping[Identity, Position]]
"""Which of these identities have been counted, and where."""

ADVICE: dict[str, str] = {
    SEND: "accepted now",
    COUNTED: "an event of this identity has been counted already: nothing is missing",
    REPEAT: "another quarantined event of this identity goes first",
    CONFLICT: "another payload of this identity was counted; the emitter must send a CORRECTION of its own with the "
    "difference",
    "misrouted": "sent again to its customer's own partition",
    "late": "stays late, because the broker stamps what is sent again with the time of now; the emitter must send a "
    "CORRECTION of its own, with today's occurred_at",
    "early": "will be accepted once its time has come: run this again then",
    "schema": "no reader here knows its schema: install the version of tokenmeter that does, meters first",
    "negative": "the figures are wrong at their source; the emitter must send a right event under another event_id",
    "breakdown": "the figures are wrong at their source; the emitter must send a right event under another event_id",
}
BEYOND_REPAIR = "cannot be read or used as it is; the emitter must send the call again, under the same event_id"


def advice(verdict: str) -> str:
    """What a person can do about it."""
    return ADVICE.get(verdict, BEYOND_REPAIR)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one position: SEND, or why not."""

    partition: int
    offset: int
    verdict: str
    detail: str
    customer_id: str | None = None
    event_id: str | None = None


def verdicts(rows: pl.DataFrame, now_ms: int, counted: Counted, sent: set[Identity]) -> list[Verdict]:
    """One for each of ``rows`` (as ledger.read gives them), in order; the identities to be sent are added to ``sent``.

    A conflict is never sent: its identity has been counted, if with other figures.
    """
    decoded = decode(rows["value"].to_list())
    usable, refused = validate(decoded.frame, np.full(decoded.frame.height, now_ms, np.int64))
    why: dict[int, tuple[str, str]] = {bad.index: (bad.reason, bad.detail) for bad in decoded.rejected}
    why |= {index: (reason, accept.DETAILS[reason]) for index, reason in refused.select(INDEX, REASON).iter_rows()}
    who: dict[int, Identity] = {
        index: (customer, event)
        for index, customer, event in decoded.frame.select(INDEX, "customer_id", "event_id").iter_rows()
    }
    known = counted([who[index] for index in usable[INDEX].to_list()])
    found = []
    for index, (partition, offset, reason) in enumerate(rows.select("partition", "offset", "reason").iter_rows()):
        identity = who.get(index)
        if index in why:
            verdict, detail = why[index]
        elif reason == CONFLICT:
            verdict, detail = CONFLICT, "an event of this identity with another payload came first"
        elif identity is not None and identity in known:
            verdict, detail = COUNTED, "counted at {}:{}".format(*known[identity])
        elif identity in sent:
            verdict, detail = REPEAT, "an event of this identity is being sent"
        else:
            assert identity is not None
            verdict, detail = SEND, f"was {reason}"
            sent.add(identity)
        found.append(Verdict(partition, offset, verdict, detail, *(identity or (None, None))))
    return found
