"""Tells a request's caller by its Authorization header, from the gateway's own keys and those of the catalog.

Keys of the catalog are followed as the CreditCache follows it: a revocation is known within a second of its commit.
When Kafka has not been heard for ``STALE_S``, a revocation may have been missed. Keys of the catalog are then answered
503, for the caller to come again (``stale="refuse"``), or go on being taken (``stale="allow"``); the gateway's own need
no Kafka. Events need it anyway: without it nothing is acknowledged, whoever sends it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Any, Literal, Protocol

from tokenmeter.emit.gateway.keys import Caller, KeyBook, digest_of
from tokenmeter.events.catalog import Right, row_of
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Poison

log = logging.getLogger("tokenmeter.gateway")

STALE_S = 10.0
READY_S = 15.0
"""How long a start waits for the catalog; after that requests with keys of it are told to come again."""
UNKNOWN = "which keys are valid cannot be read from Kafka at present"
Stale = Literal["refuse", "allow"]
ANYBODY = Caller("anybody", None, frozenset({Right.USAGE.value, Right.READ.value}))
"""Whoever calls a gateway without keys, which serves its own machine alone. Nobody there erases a bill."""


@dataclass(frozen=True)
class Refused:
    """Why a request is not answered, and when to come again."""

    status: int
    error: str
    retry_after_s: int | None = None


class Source(Protocol):
    """Where keys of the catalog come from."""

    book: KeyBook

    @property
    def age_s(self) -> float: ...

    def wait_ready(self, timeout_s: float) -> bool: ...

    def close(self) -> None: ...


class NoCatalog:
    """No keys but the gateway's own."""

    book = KeyBook()
    age_s = 0.0

    def wait_ready(self, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        """Nothing to close."""


class CatalogKeys:
    """Follows the catalog in a thread of its own."""

    def __init__(self, bootstrap_servers: str, client: Mapping[str, Any] | None = None) -> None:
        from tokenmeter.emit.credit.follower import Follower

        self.book = KeyBook()
        settings = {"bootstrap.servers": bootstrap_servers, **(client or {})}
        self._follower = Follower(settings, self._fold, lambda: None, (CATALOG,), "gateway-keys")
        self._follower.start()

    @property
    def age_s(self) -> float:
        """How old what is known can be at most; infinite before the catalog was read once."""
        at = self._follower.caught_up_at
        return inf if at is None else max(0.0, time.monotonic() - at)

    def wait_ready(self, timeout_s: float) -> bool:
        return self._follower.caught_up.wait(timeout_s)

    def close(self, wait: bool = True) -> None:
        self._follower.close(wait)

    def _fold(self, message: Any) -> None:
        try:
            self.book.add(row_of(message.value()))
        except Poison as error:
            log.error("%s offset %s: %s", CATALOG, message.offset(), error)


class KeyRing:
    """``own``: callers by digest, of keys that the gateway was started with."""

    def __init__(
        self,
        own: Mapping[str, Caller],
        source: Source | None = None,
        stale: Stale = "refuse",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._own = dict(own)
        self._source: Source = source or NoCatalog()
        self._stale = stale
        self._now = now

    @property
    def keyless(self) -> bool:
        """Whether there are no keys at all: then anybody on this machine may send and read."""
        return not self._own and not len(self._source.book)

    def find(self, header: str) -> Caller | Refused:
        """The caller that ``Authorization: Bearer KEY`` names, or why there is none."""
        scheme, _, secret = header.partition(" ")
        digest = digest_of(secret.strip()) if scheme.lower() == "bearer" else ""
        own = self._own.get(digest)
        if own is not None:
            return own
        if self.unwell and (digest or not self._own):
            # A key that is not known may be a new one, and one that is known may have been revoked.
            return Refused(503, f"{UNKNOWN}; send it again", 1)
        if self.keyless:
            return ANYBODY
        found = self._source.book.find(digest, self._now())
        return found or Refused(401, "send a valid key as: Authorization: Bearer KEY")

    @property
    def unwell(self) -> str:
        """Why callers with keys of the catalog are told to come again; empty: they are not."""
        age_s = self._source.age_s
        return UNKNOWN if age_s > STALE_S and (self._stale == "refuse" or not isfinite(age_s)) else ""

    def health(self) -> dict[str, Any]:
        """How old what is known of keys is, and what is done when it is too old."""
        age_s = self._source.age_s
        return {
            "keys": len(self._own) + len(self._source.book),
            "age_s": round(age_s, 3) if isfinite(age_s) else None,
            "stale": age_s > STALE_S,
            "when_stale": self._stale,
        }

    def wait_ready(self, timeout_s: float = READY_S) -> bool:
        return self._source.wait_ready(timeout_s)

    def close(self) -> None:
        self._source.close()
