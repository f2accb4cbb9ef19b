"""A partition, its group's position and its transactions in memory: what ``tokenmeter.flow.page.steps`` may rely on.

Transactional ids have epochs: a fence aborts what the last owner left open and shuts it out, as a broker does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tokenmeter.events.errors import Fenced
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.flow.page.performer import Performer
from tokenmeter.kafka.batch import RecordBatch, Run

TOPIC = "usage.events"


@dataclass
class Broker:
    """``committed`` is what a read_committed reader sees: the offsets metered, in the order of their pages."""

    log_start: int = 0
    position: int = 0
    lost: int = 0
    epoch: int = 0
    fenced: bool = True
    committed: list[int] = field(default_factory=list)


class Crash(BaseException):
    """The process ends here."""


class Pass:
    """A processor whose outgoing values are the offsets it was given."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    def restore(self, position: int) -> None:
        self.offsets = []

    def add(self, batch: RecordBatch) -> Demand:
        self.offsets += batch.offsets().tolist()
        return Demand.CLOSE if b"close" in batch.values else Demand.NOTHING

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        return [Outgoing("out", [None] * len(self.offsets), [str(offset).encode() for offset in self.offsets])]

    def remembered(self) -> int:
        return 0

    def committed(self, bounds: PageBounds) -> None:
        self.offsets = []


class MemoryDriver:
    """A driver over a Broker. ``outside``: the mutant that commits the position outside the transaction."""

    def __init__(self, broker: Broker, outside: bool = False) -> None:
        self.broker = broker
        self._outside = outside
        self._epoch = -1
        self._pending: list[int] = []
        self._next: steps.Position | None = None
        self.dropped = False

    def perform(self, effect: steps.Effect) -> Any:
        broker = self.broker
        match effect:
            case steps.Fence():
                broker.epoch += 1
                self._epoch = broker.epoch
            case steps.ReadPosition():
                return steps.Position(broker.position, broker.lost)
            case steps.ReadLogStart():
                return broker.log_start
            case steps.Begin():
                self._pending, self._next = [], None
            case steps.Produce(outgoing):
                self.require_owner()
                self._pending += [int(value) for records in outgoing for value in records.values]
            case steps.SendOffsets(next_offset, lost):
                self.require_owner()
                self._next = steps.Position(next_offset, lost)
                if self._outside:
                    broker.position = next_offset
            case steps.Commit():
                self.require_owner()
                broker.committed += self._pending
                assert self._next is not None
                broker.position, broker.lost = self._next.next_offset, self._next.lost
        return None

    def announce(self, position: steps.SendOffsets) -> None:
        """Nothing travels."""

    def require_owner(self) -> None:
        if self.broker.fenced and self._epoch != self.broker.epoch:
            raise Fenced("another owner fenced this one")

    def drop(self) -> None:
        self.dropped = True


class Owner(Performer):
    """A performer in whose process something may happen ``before`` and ``after`` each effect: Crash, say."""

    def __init__(
        self,
        driver: MemoryDriver,
        processor: Any,
        before: Callable[[steps.Effect], None] = lambda effect: None,
        after: Callable[[steps.Effect], None] = lambda effect: None,
    ) -> None:
        super().__init__(driver, processor, "memory")
        self._before, self._after = before, after

    def perform(self, effect: steps.Effect) -> Any:
        self._before(effect)
        answer = super().perform(effect)
        self._after(effect)
        return answer


def batch(start: int, next_offset: int, values: Iterable[bytes] = ()) -> RecordBatch:
    """Offsets [start, next_offset) as one batch."""
    count = next_offset - start
    filled = [*values, *[b"x"] * count][:count]
    return RecordBatch(TOPIC, 0, start, next_offset, list(filled), [Run(start, count, 0)], count, next_offset)
