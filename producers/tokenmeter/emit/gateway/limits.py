"""Rate limits of a key: a token bucket of events and one of bytes. Pure: the time comes in.

A request is let in while there is anything left, and may leave the bucket in debt, which is waited for: so a request
larger than a second's worth still comes through, and what was accepted is never dropped.
"""

from __future__ import annotations

from math import ceil

from tokenmeter.emit.gateway.keys import Caller

BURST_S = 1.0
"""A bucket holds what its rate gives in this time."""


class Bucket:
    """Filled at ``rate`` a second."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._left = rate * BURST_S
        self._at = now

    def wait_s(self, now: float) -> float:
        """How long until something is left; 0: there is."""
        self._left = min(self._rate * BURST_S, self._left + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._left > 0 else (1e-9 - self._left) / self._rate

    def take(self, amount: float) -> None:
        """Use ``amount``; a negative one gives back."""
        self._left -= amount


class Limits:
    """The buckets of all keys. For one thread."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, int], Bucket] = {}

    def retry_after_s(self, caller: Caller, now: float) -> int | None:
        """In how many whole seconds the caller may send again; None: at once."""
        waits = [bucket.wait_s(now) for bucket in self._of(caller, now).values()]
        longest = max(waits, default=0.0)
        return ceil(longest) if longest > 0 else None

    def take(self, caller: Caller, now: float, events: int = 0, size_bytes: int = 0) -> None:
        """Count what a request brought. Negative: what was not taken after all."""
        amounts = {"events": events, "bytes": size_bytes}
        for name, bucket in self._of(caller, now).items():
            bucket.take(amounts[name])

    def _of(self, caller: Caller, now: float) -> dict[str, Bucket]:
        rates = {"events": caller.events_per_s, "bytes": caller.bytes_per_s}
        found = {}
        for name, rate in rates.items():
            if rate is not None:
                key = (caller.key_id, name, rate)
                if key not in self._buckets:
                    self._buckets[key] = Bucket(rate, now)
                found[name] = self._buckets[key]
        return found
