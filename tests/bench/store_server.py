"""What the embedded server takes for a large answer, and how long readers wait beside a slow query."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import psutil

from support.clickhouse import Server

READERS = 64
STREAMED_BYTES = 500 << 20
WRITER = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "secret"}
READER = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "look"}
LARGE = "SELECT * FROM tokenmeter.usage_events FORMAT TSV"
SLOW = "SELECT sleepEachRow(1) FROM numbers(600) FORMAT Null SETTINGS max_block_size = 1"


@dataclass(frozen=True)
class Streamed:
    """``peak_mb``: how much more memory the server held at any time of it."""

    megabytes: int
    peak_mb: int
    seconds: float


def stream(server: Server) -> Streamed:
    """Raw events, read as fast as they come, until STREAMED_BYTES of them were."""
    process, size = psutil.Process(server.child.pid), 0
    before = peak = process.memory_info().rss
    began = time.perf_counter()
    with httpx.stream(
        "POST", server.url, params={"query": LARGE}, headers=WRITER, timeout=600, trust_env=False
    ) as answer:
        for piece in answer.iter_bytes(1 << 20):
            size += len(piece)
            peak = max(peak, process.memory_info().rss)
            if size >= STREAMED_BYTES:
                break
    return Streamed(size >> 20, (peak - before) >> 20, time.perf_counter() - began)


def beside_a_slow_query(server: Server, question: str) -> float:
    """Seconds until the last of READERS that ask at once is answered, while a slow query runs all the time."""
    with httpx.Client(timeout=900, trust_env=False, limits=httpx.Limits(max_connections=READERS + 2)) as client:

        def ask(query: str, user: dict[str, str]) -> int:
            return client.post(server.url, params={"query": query, "query_id": "bench"}, headers=user).status_code

        slow = threading.Thread(target=ask, args=(SLOW, WRITER))
        slow.start()
        running = (
            "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(1)%' AND query NOT LIKE '%processes%'"
        )
        while client.post(server.url, params={"query": running}, headers=WRITER).text != "1\n":
            time.sleep(0.05)
        with ThreadPoolExecutor(READERS) as pool:
            began = time.perf_counter()
            answers = list(pool.map(lambda _: ask(question, READER), range(READERS)))
            took = time.perf_counter() - began
        assert slow.is_alive() and set(answers) == {200}, answers
        ask("KILL QUERY WHERE query_id = 'bench'", WRITER)
        slow.join()
    return took
