"""Sends events and keeps exact sums of what was sent, so that every later place can be held against them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tokenmeter.emit.emitter import Emitter, paced
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import QUANTITY_FIELDS

PROGRESS_EVERY = 500


@dataclass
class Sent:
    """What was acknowledged: each event once in ``events`` and ``sums``, further copies in ``repeats``."""

    events: int = 0
    repeats: int = 0
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QUANTITY_FIELDS, 0))
    ids: set[tuple[str, str]] = field(default_factory=set)

    def count(self, event: UsageEvent) -> None:
        identity = (event.customer_id, event.event_id)
        if identity in self.ids:
            self.repeats += 1
            return
        self.ids.add(identity)
        self.events += 1
        for name in QUANTITY_FIELDS:
            self.sums[name] += getattr(event, name)


def send(
    events: Iterable[UsageEvent],
    emitter: Emitter,
    sent: Sent,
    speed: float | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Sent:
    """Emit every event (at ``speed`` times real time, None: as fast as possible), flush, and add to ``sent``.

    Raises Undelivered if any event did not arrive.
    """
    began = time.monotonic()
    first = None
    count = 0
    for count, event in enumerate(events, 1):
        first = first or event.occurred_at
        paced(began, (event.occurred_at - first).total_seconds(), speed)
        emitter.emit(event)
        sent.count(event)
        if count % PROGRESS_EVERY == 0:
            on_progress(count)
    emitter.flush()
    on_progress(count)
    return sent
