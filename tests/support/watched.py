"""A watch over topics in memory: lines are written, pages are folded and committed effect by effect, and owners die."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from support.memory_log import Crash
from support.topic_log import TopicLog
from tokenmeter.events import wire
from tokenmeter.events.contract import ALERTS, BILLING
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.flow.page.performer import run
from tokenmeter.flow.watch.checkpoint import rows_of, state_of
from tokenmeter.flow.watch.feed import Feed
from tokenmeter.flow.watch.feed_billing import FEED
from tokenmeter.flow.watch.processor import WatchProcessor
from tokenmeter.flow.watch.settings import Settings

COUNTS = (
    *("errors", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens"),
    *("input_image_tokens", "output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens"),
    *("images_in", "images_out", "video_seconds", "tool_calls", "tool_call_errors", "web_searches"),
)
_HOUR = {"first_offset": 0, "line": 0, "partition": 0, "variant": "standard", "provider": "p"}
TOKENS_CALL = 1_000


def billing(at_s: int, customer: str, key: str | None, calls: int, price: float = 0.01, **more: Any) -> bytes:
    """A line of calls that cost ``price`` each and ended in the hour of ``at_s``."""
    hour = datetime.fromtimestamp(at_s // 3600 * 3600, UTC)
    tokens = calls * TOKENS_CALL
    figures = {"events": calls, "input_tokens": tokens, "tokens_squared": Decimal(tokens * TOKENS_CALL)}
    who = {"customer_id": customer, "api_key_id": key, "model": "author/model", "currency": "USD"}
    charge = Decimal(calls * round(price * 1_000_000)).scaleb(-6)
    line = {**dict.fromkeys(COUNTS, 0), **_HOUR, **who, **figures, "charge": charge, "occurred_hour": hour, **more}
    return wire.encode("billing_line", line)


class Owner:
    """A driver over a TopicLog. ``hook(effect, side)`` may raise Crash; ``outside`` commits the position too early."""

    def __init__(self, world: World, hook: Callable[[steps.Effect, str], None], outside: bool = False) -> None:
        self.world, self._hook, self._outside = world, hook, outside
        self.processor = world.processor()
        self._pending: list[Outgoing] = []
        self._next = 0
        self.position: int = run(steps.own(), self).next_offset

    def perform(self, effect: steps.Effect) -> Any:
        self._hook(effect, "before")
        answer = self._perform(effect)
        self._hook(effect, "after")
        return answer

    def _perform(self, effect: steps.Effect) -> Any:
        world = self.world
        match effect:
            case steps.ReadPosition():
                return steps.Position(world.position)
            case steps.Restore(position):
                self.processor.restore(position)
            case steps.Close(bounds):
                return self.processor.close(bounds)
            case steps.Begin():
                self._pending = []
            case steps.Produce(outgoing):
                self._pending = list(outgoing)
            case steps.SendOffsets(next_offset, _):
                self._next = next_offset
                world.position = next_offset if self._outside else world.position
            case steps.Commit():
                world.log.commit(self._pending, world.now_ms)
                world.position = self._next
            case steps.Committed(bounds):
                self.processor.committed(bounds)
        return None

    def drop(self) -> None:
        """Nothing is held."""

    def page(self, end: int) -> None:
        """Fold up to ``end`` and commit."""
        topic = self.world.feed.topic
        bounds = PageBounds(topic, 0, self.position, end)
        self.processor.add(self.world.log.batch(topic, bounds.first_offset, end))
        run(steps.commit(bounds), self)
        self.position = end

    def pass_time(self) -> bool:
        """Let the clock do what is due; whether it made a page."""
        made = self.processor.pass_time() is Demand.CLOSE
        if made:
            run(steps.commit(PageBounds(self.world.feed.topic, 0, self.position, self.position)), self)
        return made


class World:
    """A log, its clock and the group's position."""

    def __init__(self, plan: Settings, feed: Feed = FEED, begin_s: int = 0) -> None:
        self.plan, self.feed, self.begin_s = plan, feed, begin_s
        self.log = TopicLog()
        self.position = 0
        self.now_ms = begin_s * 1000

    def processor(self) -> WatchProcessor:
        return WatchProcessor(self.feed, 0, self.log, lambda: self.now_ms / 1000, self.plan)

    def write(self, at_s: int, values: Iterable[bytes]) -> None:
        """Lines that the broker takes at ``at_s``."""
        made = list(values)
        self.log.append(self.feed.topic, [None] * len(made), made, at_s * 1000)

    def owner(self, hook: Callable[[steps.Effect, str], None] = lambda effect, side: None, **mutant: bool) -> Owner:
        return Owner(self, hook, **mutant)

    def end(self) -> int:
        return self.log.end(self.feed.topic, 0)

    def alerts(self) -> list[dict[str, Any]]:
        return [wire.decode(value).record for value in self.log.values(ALERTS)]


def dies_at(number: int, side: str) -> Callable[[steps.Effect, str], None]:
    """A hook that ends the process on this side of the ``number``-th effect."""
    seen = 0

    def hook(effect: steps.Effect, at: str) -> None:
        nonlocal seen
        seen += at == "before"
        if seen == number and at == side:
            raise Crash

    return hook


def knows(owner: Owner) -> tuple[bytes, ...]:
    """All that it knows, bit for bit."""
    watch = owner.processor.watch
    return (state_of(watch, 0, owner.position).to_value(), *(rows.to_value() for rows in rows_of(watch, 0)))


__all__ = ["BILLING", "Owner", "World", "billing", "dies_at", "knows"]
