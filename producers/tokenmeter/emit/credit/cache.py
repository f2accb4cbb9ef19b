"""Answers before a call whether it may be made, from memory: ``CreditCache(bootstrap).allowed(customer, api_key=...)``.

It follows the ledger (``account.state``) and the catalog in a thread of its own. Asking waits for nothing, so it is for
synchronous and asynchronous callers alike.

How late an answer may be. A call is charged after it has ended, and its charge reaches the cache some hundred
milliseconds later (``make bench-credit`` prints it). What is let through meanwhile is overspend; the ledger books it.

How old an answer may be. ``age_s`` is the time since everything that the ledger had committed by then was read; how far
the ledger itself lags behind the calls it does not tell. Above ``staleness_s``, and before the first time, what would
be allowed is answered with the reason ``stale``. What was refused when the cache grew stale stays refused, for its
reason; a cache that has not caught up once knows no reason but ``stale``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from math import inf
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Message

from tokenmeter.emit.credit.answer import FAIL_MODES, REFUSE, STALE, Answer
from tokenmeter.emit.credit.book import CreditBook
from tokenmeter.emit.credit.follower import Follower
from tokenmeter.events.access import client_of
from tokenmeter.events.contract import ACCOUNT_STATE
from tokenmeter.events.errors import Misconfigured, Poison

log = logging.getLogger("tokenmeter.credit")

STALENESS_S = 10.0
"""Above the seconds for which a broker that restarts is away it would be noticed late; far below, without need."""


class CreditCache:
    """Thread-safe. ``fail`` says for each reason whether it refuses (``refuse``) or only tells (``allow``); by default
    ``unknown`` and ``stale`` allow, all others refuse (FAIL_MODES). ``client``: further settings of the Kafka client
    (TLS, SASL); without them TOKENMETER_KAFKA_USER and the like are used.

    Raises Misconfigured for a reason or mode that does not exist, or a staleness that no cache can keep.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        staleness_s: float = STALENESS_S,
        fail: Mapping[str, str] | None = None,
        client: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not staleness_s >= 1:
            raise Misconfigured(f"staleness_s={staleness_s}: Kafka is asked twice a second", hint="1 or more")
        self._book = CreditBook(fail)
        self._clock, self._monotonic = clock, monotonic
        self._staleness_s = staleness_s
        self._stale = Answer({**FAIL_MODES, **(fail or {})}[STALE] != REFUSE, STALE, None)
        self._stale_at = -inf
        self._unreadable = 0
        access = client_of(bootstrap_servers, "reader", client)
        self._follower = Follower({"bootstrap.servers": bootstrap_servers, **access}, self._fold, self._tick)
        self._follower.start()

    def allowed(
        self,
        customer: str,
        api_key: str | None = None,
        project: str | None = None,
        model: str | None = None,
        end_user: str | None = None,
        *,
        free: bool = False,
    ) -> Answer:
        """Whether ``customer`` and every account above it allow a call. The names are those that events carry.

        ``free``: the call will cost nothing, so that only a closed or suspended account refuses it.
        """
        answer = self._book.answer(customer, self._clock(), api_key, project, model, end_user, free)
        if self._monotonic() <= self._stale_at:
            return answer
        return self._stale if answer.allowed or not self.ready else answer

    @property
    def ready(self) -> bool:
        """Whether it has caught up with Kafka once."""
        return self._follower.caught_up_at is not None

    @property
    def age_s(self) -> float:
        """How old the newest news can be at most; infinite before ``ready``."""
        at = self._follower.caught_up_at
        return inf if at is None else max(0.0, self._monotonic() - at)

    @property
    def unreadable(self) -> int:
        """Records that are none; each was logged, and the account keeps its last state."""
        return self._unreadable

    def __len__(self) -> int:
        """Accounts of which anything is known."""
        return len(self._book)

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it has caught up, as a gateway does before it serves; False if it has not in time."""
        return self._follower.caught_up.wait(timeout_s)

    def close(self) -> None:
        """Stop following. What is asked afterwards grows stale."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _fold(self, message: Message) -> None:
        try:
            if message.topic() == ACCOUNT_STATE:
                key = message.key() or b""
                self._book.fold_state(key.decode() if isinstance(key, bytes) else key, _bytes(message))
            else:
                self._book.fold_row(message.offset() or 0, _bytes(message), self._clock())
        except (Poison, UnicodeDecodeError) as error:
            self._unreadable += 1
            log.error("%s/%s offset %s: %s", message.topic(), message.partition(), message.offset(), error)

    def _tick(self) -> None:
        self._book.advance(self._clock())
        at = self._follower.caught_up_at
        if at is not None:
            self._stale_at = at + self._staleness_s


def _bytes(message: Message) -> bytes | None:
    value = message.value()
    return value.encode() if isinstance(value, str) else value
