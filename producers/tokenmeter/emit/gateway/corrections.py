"""A CORRECTION names a call of its customer that exists: asked of the store before it is sent. See
0001-corrections-are-looked-up.md for why here, and what the meter cannot know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool

from tokenmeter.emit.gateway.intake import Fault, Taken
from tokenmeter.emit.gateway.ring import Refused
from tokenmeter.events.errors import TokenmeterError

Call = tuple[str, int]
"""``event_id`` and ``occurred_at`` in microseconds since 1970."""
Existing = Callable[[str, Collection[Call]], Collection[Call]]
"""Those calls of a customer that were metered."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
UNKNOWN = (
    "no call of this customer with this event_id and occurred_at has been metered; a correction has the occurred_at of "
    "what it corrects, and a call that was sent just now is found some seconds later"
)


async def looked_up(existing: Existing | None, good: Sequence[Taken]) -> list[Taken | Fault] | Refused:
    """The same events, with a Fault in the place of each correction of what does not exist."""
    named: dict[str, set[Call]] = {}
    for one in good:
        if one.record.get("kind") == "CORRECTION":
            named.setdefault(one.record["customer_id"], set()).add(_call(one))
    if not named:
        return list(good)
    if existing is None:
        return Refused(501, "corrections are looked up, and no store is set: TOKENMETER_CLICKHOUSE_URL")
    found: set[tuple[str, Call]] = set()
    try:
        for customer, calls in named.items():
            found |= {(customer, call) for call in await run_in_threadpool(existing, customer, calls)}
    except TokenmeterError as error:
        return Refused(503, error.message, 1)
    return [one if _may_go(one, found) else Fault(one.place, "corrects", UNKNOWN) for one in good]


def _may_go(one: Taken, found: Collection[tuple[str, Call]]) -> bool:
    return one.record.get("kind") != "CORRECTION" or (one.record["customer_id"], _call(one)) in found


def _call(one: Taken) -> Call:
    return one.record["corrects"], (one.record["occurred_at"] - _EPOCH) // _MICROSECOND
