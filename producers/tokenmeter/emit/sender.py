"""What the emitter asks of whoever carries its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tokenmeter.events import UsageEvent

OnFull = Literal["block", "raise"]
OnDelivery = Callable[[str | None], None]


@dataclass(frozen=True)
class Stats:
    """Events taken by emit(), acknowledged by every in-sync replica, and given up.

    ``spooled`` is what the spool holds now, events of an earlier process included.
    """

    accepted: int
    acknowledged: int
    failed: int
    spooled: int = 0

    @property
    def pending(self) -> int:
        return self.accepted - self.acknowledged - self.failed


class Sender(Protocol):
    """Thread-safe. emitter.Emitter documents what each promises."""

    def stats(self) -> Stats: ...

    def send(self, events: Sequence[UsageEvent], on_delivery: OnDelivery | None) -> None: ...

    def flush(self, timeout_s: float) -> None: ...

    def close(self, timeout_s: float | None, quietly: bool) -> None:
        """End. ``quietly``: an error is under way already, which is the one to report."""

    def poll(self, timeout_s: float) -> None: ...
