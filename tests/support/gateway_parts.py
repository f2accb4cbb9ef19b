"""A gateway in this process: an outbox that keeps what it is given, keys by name, and rows of keys of the catalog."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any

import httpx

from support.events import event
from tokenmeter.emit.gateway import Parts, make_app
from tokenmeter.emit.gateway.keys import Caller, KeyBook, digest_of
from tokenmeter.emit.gateway.outbox import Outgoing
from tokenmeter.emit.gateway.ring import KeyRing
from tokenmeter.emit.gateway.serve import own_callers
from tokenmeter.events import decode
from tokenmeter.events.catalog import Key, Right


class KeptOutbox:
    """Acknowledges every event, or those that ``takes`` says, and keeps them as records."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.keys: list[bytes] = []
        self.takes = lambda record: True

    def stats(self) -> dict[str, int]:
        return {"acknowledged": len(self.records)}

    async def send(self, events: Sequence[Outgoing], within_s: float) -> Sequence[bool]:
        answers = []
        for one in events:
            source, number = (one.source, one.sequence) if one.source else ("gateway", len(self.records))
            record = decode(one.encoded.stamped(source, number)).record
            answers.append(bool(self.takes(record)))
            if answers[-1]:
                self.records.append(record)
                self.keys.append(one.key)
        return answers

    def close(self) -> None:
        """Nothing to close."""


class Told:
    """Keys of the catalog as a test tells them; ``age_s`` is how long Kafka has been silent."""

    def __init__(self, *rows: Key) -> None:
        self.book = KeyBook()
        self.age_s = 0.0
        for row in rows:
            self.book.add(row)

    def wait_ready(self, timeout_s: float) -> bool:
        return self.age_s < inf

    def close(self) -> None:
        """Nothing to close."""


def key_row(secret: str, **terms: Any) -> Key:
    """A row about ``secret``; by default of a gateway's own key that may send usage and read."""
    made: dict[str, Any] = {"key_id": f"key-{secret}", "rights": ("usage", "read"), "effective_from": NOW}
    return Key(**{**made, "secret_sha256": digest_of(secret), **terms})


NOW = datetime(2026, 11, 1, tzinfo=UTC)


def callers(keys: tuple[str, ...] = (), admin_keys: tuple[str, ...] = ()) -> Mapping[str, Caller]:
    """The gateway's own keys as its command makes them."""
    return own_callers(keys, admin_keys)


def parts(
    keys: tuple[str, ...] = (), admin_keys: tuple[str, ...] = (), told: Told | None = None, **others: Any
) -> Parts:
    """The parts of a gateway with these keys and no Kafka."""
    return Parts(**{"outbox": KeptOutbox(), "keys": KeyRing(callers(keys, admin_keys), told), **others})


ALL_RIGHTS = tuple(right.value for right in Right)


class Client:
    """Sends requests to the application without a network."""

    def __init__(self, made: Parts) -> None:
        self.parts = made
        self.outbox: Any = made.outbox
        self._app = make_app(made)

    def __call__(self, method: str, path: str, key: str | None = None, **request: Any) -> httpx.Response:
        headers = {"host": "localhost", **({} if key is None else {"authorization": f"Bearer {key}"})}
        headers |= request.pop("headers", {})

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, headers=headers, **request)

        return asyncio.run(ask())

    def post(self, rows: Any, key: str | None = None, **request: Any) -> httpx.Response:
        """Send events as JSON."""
        return self("POST", "/v1/events", key, json=rows, **request)


def row(number: int = 0, **fields: Any) -> dict[str, Any]:
    """An event of now as a caller writes it."""
    made = event(number, occurred_at=datetime.now(UTC), source="", sequence=None)
    return {**json.loads(made.model_dump_json(exclude_defaults=True)), **fields}
