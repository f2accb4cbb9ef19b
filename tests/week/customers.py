"""Load: one customer posts to the gateway until it hears 202, another emits through a spool. All of it must be counted.

A post whose answer did not come is sent again, with the same ids, until it is acknowledged.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from support.oracle import made
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent
from tokenmeter.events.errors import TokenmeterError

POSTED_EVENTS, POSTED_PAUSE_S = 10, 0.5
SPOOLED_EVENTS, SPOOLED_PAUSE_S = 10, 0.5
AGAIN_EVERY = 4
"""Each fourth post is sent again although it was acknowledged, as a caller does that lost the answer."""
POST_TIMEOUT_S = 5.0
RETRY_S = 0.25
AHEAD_EVENTS = STRANGE_EVENTS = 20
AHEAD = timedelta(hours=2)
END_S = 180.0
NUMBERS = {"posted": 0, "spooled": 300_000, "ahead": 600_000, "strange": 900_000}
"""Where each one's numbers begin, so that every event has a customer of its own."""


def events_of(name: str, at: int, count: int) -> list[UsageEvent]:
    """The next of one source, numbered without a hole."""
    return [
        event.model_copy(update={"source": f"week-{name}", "sequence": at + number})
        for number, event in enumerate(made(NUMBERS[name] + at, count))
    ]


class Customers:
    """``url`` tells where the gateway is now; ``signed`` hears when a post was begun and acknowledged."""

    def __init__(
        self,
        url: Callable[[], str],
        bootstrap: str,
        client: dict[str, Any],
        spool: Path,
        signed: Callable[[float, float], None],
    ) -> None:
        self._url, self._signed = url, signed
        self._emitter = Emitter(bootstrap, source="week-spooled", spool=spool, client_config=client)
        self._stopping = threading.Event()
        self._sending = {one: threading.Lock() for one in ("posted", "spooled")}
        self._threads = [
            threading.Thread(target=self._run, args=(one,), daemon=True) for one in (self._post, self._spool)
        ]
        self.acknowledged: list[UsageEvent] = []
        self.ahead: list[UsageEvent] = []
        self.unanswered = 0
        self.strange = 0
        self.failed: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more, and return once all that was begun is acknowledged."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(END_S)
            assert not thread.is_alive(), "what was sent is not acknowledged"
        self.check()
        self._emitter.flush(END_S)
        self._emitter.close()

    def send_ahead(self) -> None:
        """A producer whose clock is two hours ahead has its say."""
        events = events_of("ahead", len(self.ahead), AHEAD_EVENTS)
        events = [one.model_copy(update={"occurred_at": one.occurred_at + AHEAD}) for one in events]
        self._emitter.emit_many(events)
        self.ahead += events

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent, and all that was is acknowledged."""
        with self._sending["posted"], self._sending["spooled"]:
            self._emitter.flush(END_S)
            yield

    def send_strange(self) -> None:
        """Somebody else's events, which must never be metered here."""
        events = events_of("strange", self.strange, STRANGE_EVENTS)
        self.strange += len(events)
        deadline = time.monotonic() + END_S
        with httpx.Client(timeout=POST_TIMEOUT_S, trust_env=False, verify=False) as client:
            while not self._posted(client, _body(events)):
                assert time.monotonic() < deadline, "the gateway takes nothing"
                time.sleep(RETRY_S)

    def check(self) -> None:
        """Raises what ended a thread of this load."""
        for error in self.failed:
            raise error

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.failed.append(error)
            raise

    def _spool(self) -> None:
        sent = 0
        while not self._stopping.wait(SPOOLED_PAUSE_S):
            events = events_of("spooled", sent, SPOOLED_EVENTS)
            with self._sending["spooled"]:
                self._emitter.emit_many(events)
            self.acknowledged += events
            sent += len(events)

    def _post(self) -> None:
        rounds = 0
        with httpx.Client(timeout=POST_TIMEOUT_S, trust_env=False, verify=False) as client:
            while not self._stopping.wait(POSTED_PAUSE_S):
                events = events_of("posted", rounds * POSTED_EVENTS, POSTED_EVENTS)
                with self._sending["posted"]:
                    for _ in range(2 if rounds % AGAIN_EVERY == 0 else 1):
                        while not self._posted(client, _body(events)):
                            self.unanswered += 1
                            time.sleep(RETRY_S)
                self.acknowledged += events
                rounds += 1

    def _posted(self, client: httpx.Client, body: str) -> bool:
        began = time.monotonic()
        try:
            answer = client.post(f"{self._url()}/v1/events", content=body, headers={"content-type": "application/json"})
        except (httpx.HTTPError, TokenmeterError, KeyError):  # it does not answer, or is not there yet
            return False
        assert answer.status_code in (202, 503), answer.text
        if answer.status_code == 202:
            self._signed(began, time.monotonic())
        return answer.status_code == 202


def _body(events: Sequence[UsageEvent]) -> str:
    return json.dumps([one.model_dump(mode="json", exclude_none=True) for one in events])
