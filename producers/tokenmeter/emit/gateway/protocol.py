"""uvicorn's HTTP protocol with a time for the head of a request: who opens a connection and says nothing is let go.

uvicorn closes a connection that is idle after an answer (``timeout_keep_alive``), but waits for ever for the first
request and for the rest of one that has begun. A body has its own time, see bodies.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
IDLE_S = 75
"""Longer than the minute for which load balancers keep a connection: who closes first must not be the gateway, or a
request that is just then on its way is lost."""


class TimedProtocol(HttpToolsProtocol):
    """One connection."""

    head_s = HEAD_S
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(self.head_s, self._let_go)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _let_go(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()


def timed(head_s: float) -> type[TimedProtocol]:
    """The protocol with another time."""
    return type("Timed", (TimedProtocol,), {"head_s": head_s})
