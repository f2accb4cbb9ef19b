"""From an event to the row that is sent: source and sequence stamped on, encoded. Pure but for its counter."""

from __future__ import annotations

from typing import NamedTuple

from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import EVENT_BYTES_MAX
from tokenmeter.events.errors import Poison
from tokenmeter.events.wire import encode


class Row(NamedTuple):
    """One event on its way to Kafka; ``source`` repeats what the value says, so that nobody need decode it."""

    topic: str
    source: str
    key: bytes
    value: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.key) + len(self.value)


class Stamper:
    """Numbers the events of one emitter. Not thread-safe.

    A caller that could not keep a row sets ``sequence`` back to what it was: a refused event leaves no hole.
    """

    def __init__(self, source: str, topic: str) -> None:
        self.source = source
        self.sequence = 0
        self.topic = topic

    def row(self, event: UsageEvent) -> Row:
        """The row of ``event``. Raises Poison (``too_large``, ``unencodable``), and then takes no number."""
        record = event.to_record()
        if not record["source"]:
            record["source"] = self.source
        # Numbers under somebody else's name would look like events lost there.
        ours = record["sequence"] is None and record["source"] == self.source
        if ours:
            record["sequence"] = self.sequence
        value = encode("usage_event", record)
        if len(value) > EVENT_BYTES_MAX:
            raise Poison("too_large", f"event {event.event_id} has {len(value)} bytes, {EVENT_BYTES_MAX} are allowed")
        self.sequence += ours
        return Row(self.topic, record["source"], event.customer_id.encode(), value)
