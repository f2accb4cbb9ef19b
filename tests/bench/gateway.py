"""What the HTTP gateway takes: ``make bench-emit`` (or ``python -m bench.gateway``), before a real broker.

The gateway is the command in a process of its own on one core; the broker and those who post have the others. Batches
of a hundred events, then single posts, each answered 202 once Kafka has acknowledged it. Told is what was acknowledged
a second, and the gateway's CPU an event: the rate that one core allows, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from support.broker import broker
from support.events import event
from support.gateway_process import Gateway

SECONDS = 10.0
BATCH_EVENTS = 100
GOALS_PER_S = {"batches of 100": 20_000, "single posts": 2_000}
CONNECTIONS = {"batches of 100": 8, "single posts": 64}


def body(first: int, count: int) -> bytes:
    """``count`` events as JSON, as a caller sends them: what is at its default is left out."""
    at = datetime.now(UTC)
    made = [event(n, occurred_at=at, source="", sequence=None) for n in range(first, first + count)]
    rows = [json.loads(one.model_dump_json(exclude_defaults=True)) for one in made]
    return json.dumps(rows if count > 1 else rows[0]).encode()


class Poster(asyncio.Protocol):
    """Posts bodies on one connection, one after another: a client that costs as little as it can."""

    def __init__(self, requests: list[bytes], until: float) -> None:
        self._requests = requests
        self._until = until
        self._next = 0
        self._got = b""
        self.accepted = 0
        self.refused: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if time.monotonic() >= self._until:
            self._transport.close()
            return
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, rest = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self._got = b""
        if b" 202 " in head.split(b"\r\n")[0]:
            self.accepted += json.loads(rest)["accepted"]
        else:
            self.refused.append(head.split(b"\r\n")[0])
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def post_for(port: int, bodies: list[bytes], connections: int, seconds: float) -> int:
    """Events acknowledged in ``seconds``."""
    head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k-1\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    requests = [head % len(one) + one for one in bodies]

    async def run() -> int:
        loop, until = asyncio.get_running_loop(), time.monotonic() + seconds
        made = [
            await loop.create_connection(lambda n=n: Poster(requests[n::connections], until), "127.0.0.1", port)
            for n in range(connections)
        ]
        await asyncio.gather(*(poster.done for _, poster in made))
        refused = [line for _, poster in made for line in poster.refused]
        assert not refused, refused[:3]
        return sum(poster.accepted for _, poster in made)

    return asyncio.run(run())


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """Each way of posting, by name."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as kafka:
        gateway = Gateway(Path(folder), kafka)
        process = psutil.Process(gateway.child.pid)
        # Its threads too: those of the Kafka client take part of the core.
        for thread in process.threads():
            os.sched_setaffinity(thread.id, {max(os.sched_getaffinity(0))})
        try:
            for name, count in (("batches of 100", BATCH_EVENTS), ("single posts", 1)):
                bodies = [body(n * count, count) for n in range(512 if count > 1 else 4_096)]
                post_for(gateway.port, bodies, CONNECTIONS[name], seconds / 5)  # until everything is warm
                before = process.cpu_times()
                began = time.monotonic()
                accepted = post_for(gateway.port, bodies, CONNECTIONS[name], seconds)
                took_s = time.monotonic() - began
                after = process.cpu_times()
                cpu_s = after.user + after.system - before.user - before.system
                found[name] = {
                    "events_per_s": round(accepted / took_s),
                    "cpu_us_an_event": round(cpu_s / accepted * 1e6, 1),
                    "events_per_cpu_s": round(accepted / cpu_s),
                    "share_of_a_core": round(cpu_s / took_s, 2),
                    "goal_per_s": GOALS_PER_S[name],
                }
        finally:
            gateway.child.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.seconds)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for name, told in found.items():
        print(
            f"{name:16} {told['events_per_s']:8,.0f} events/s acknowledged (goal {told['goal_per_s']:,}), "
            f"{told['cpu_us_an_event']:6} us of CPU an event: {told['events_per_cpu_s']:,.0f}/s on a whole core; "
            f"it had {told['share_of_a_core']:.0%} of one"
        )


if __name__ == "__main__":
    main()
