"""What a drop-in adds to a model call: ``make bench-emit``.

The clients are the real `openai` ones with everything below ``post`` taken away: it hands out an answer, or a stream of
chunks, that is there already. So nothing of a network is in the figures, and what is left is the meter's work, once
without it and once with it; told is the difference. The emitter is the real one without a broker: an event is
validated, encoded and queued, as on any day.

Three clocks. Wall time of the caller is what he waits, and what others on the machine do to him. CPU time of his thread
is what the meter takes from him. CPU time of the process has the meter's own thread in it: what a call costs the
machine. The least (the first of a hundred) is what is left when nobody else is on the machine. The bound (BOUND_US)
holds for the caller's wall time at its median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from support.provider_answers import chat, chat_chunks
from tokenmeter.emit import Emitter
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.openai import metered
from tokenmeter.emit.usage import normalise
from tokenmeter.events import UsageEvent

CALLS = 5_000
PAUSE_US = 500
"""Between two calls: nobody calls a model in a tight loop. Caches are then cold, as they are on any day; --pause-us 0
shows the work itself, and in its p99 the backlog that such a loop leaves to the thread in the background."""
BOUND_US = 30.0
NOBODY = "127.0.0.1:9"
ASKED = {"model": "gpt-4o", "stream_options": {"include_usage": True}}
REQUEST: dict[str, Any] = {"body": {"model": "gpt-4o", "messages": []}, "options": {}, "cast_to": ChatCompletion}
ANSWER = ChatCompletion.model_validate(chat({"model": "gpt-4o"}))
CHUNKS = [ChatCompletionChunk.model_validate(chunk) for chunk in chat_chunks(ASKED)]
PATH = "/chat/completions"

Figures = dict[str, float]


class Nothing:
    """A sink that takes everything and keeps nothing."""

    def emit_many(self, events: Sequence[UsageEvent]) -> None:
        pass


class Chunks:
    """A stream that is there already, of either kind."""

    def __init__(self) -> None:
        self._left = iter(CHUNKS)

    def __next__(self) -> ChatCompletionChunk:
        return next(self._left)

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def close(self) -> None:
        pass


class AsyncChunks:
    def __init__(self) -> None:
        self._left = iter(CHUNKS)

    async def __anext__(self) -> ChatCompletionChunk:
        for chunk in self._left:
            return chunk
        raise StopAsyncIteration

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        for chunk in self._left:
            yield chunk

    async def close(self) -> None:
        pass


class Instant(OpenAI):
    def post(self, path: str, **arguments: Any) -> Any:  # type: ignore[override]
        return Chunks() if arguments.get("stream") else ANSWER


class AsyncInstant(AsyncOpenAI):
    async def post(self, path: str, **arguments: Any) -> Any:  # type: ignore[override]
        return AsyncChunks() if arguments.get("stream") else ANSWER


class Clock:
    """Takes the time of many calls; ``added`` says what they took beyond others."""

    def __init__(self) -> None:
        self.wall: list[int] = []
        self.thread: list[int] = []
        self.process_us = 0.0
        self._process = 0

    def begin(self) -> None:
        self._process = time.process_time_ns()

    def call(self, wall_ns: int, thread_ns: int) -> None:
        self.wall.append(wall_ns)
        self.thread.append(thread_ns)

    def end(self) -> None:
        self.process_us = (time.process_time_ns() - self._process) / 1000 / len(self.wall)

    def added(self, plain: Clock) -> Figures:
        figures = {
            "p50_us": _at(self.wall, 50) - _at(plain.wall, 50),
            "p99_us": _at(self.wall, 99) - _at(plain.wall, 99),
            "cpu_p50_us": _at(self.thread, 50) - _at(plain.thread, 50),
            "least_us": _at(self.wall, 1) - _at(plain.wall, 1),
            "process_us": self.process_us - plain.process_us,
        }
        return {name: round(figure, 1) for name, figure in figures.items()}


def _at(times_ns: list[int], percent: int) -> float:
    ordered = sorted(times_ns)
    return ordered[len(ordered) * percent // 100] / 1000


def timed(work: Callable[[Any], Any], client: Any, times: int, pause_us: int) -> Clock:
    """``work`` with the client as often, after a warm-up."""
    for _ in range(times // 10):
        work(client)
    clock = Clock()
    clock.begin()
    for _ in range(times):
        _pause(pause_us)
        thread, wall = time.thread_time_ns(), time.perf_counter_ns()
        work(client)
        clock.call(time.perf_counter_ns() - wall, time.thread_time_ns() - thread)
    clock.end()
    return clock


async def timed_async(work: Callable[[Any], Any], client: Any, times: int, pause_us: int) -> Clock:
    for _ in range(times // 10):
        await work(client)
    clock = Clock()
    clock.begin()
    for _ in range(times):
        _pause(pause_us)  # blocking: nothing else runs in this loop
        thread, wall = time.thread_time_ns(), time.perf_counter_ns()
        await work(client)
        clock.call(time.perf_counter_ns() - wall, time.thread_time_ns() - thread)
    clock.end()
    return clock


def _pause(pause_us: int) -> None:
    if pause_us:
        time.sleep(pause_us / 1e6)


def one(client: Any) -> None:
    client.post(PATH, **REQUEST)


def streamed(client: Any) -> None:
    for _ in client.post(PATH, **REQUEST, stream=True):
        pass


async def one_async(client: Any) -> None:
    await client.post(PATH, **REQUEST)


async def streamed_async(client: Any) -> None:
    async for _ in await client.post(PATH, **REQUEST, stream=True):
        pass


SYNC = {"a call": one, f"a stream of {len(CHUNKS)} chunks": streamed}
ASYNC = {"an async call": one_async, f"an async stream of {len(CHUNKS)} chunks": streamed_async}


def measure(calls: int, pause_us: int) -> dict[str, Figures]:
    """Each way of calling, by name."""
    nothing = timed(lambda client: None, None, calls, 0)
    found = {"normalise alone": timed(lambda _: normalise("openai", ANSWER), None, calls, pause_us).added(nothing)}
    # More events than are made here: nobody is there to take them.
    settings: dict[str, Any] = {"buffer_events": 20 * calls, "on_full": "raise", "client_config": {"log_level": 0}}
    emitter, plain, plain_async = Emitter(NOBODY, **settings), Instant(api_key="k"), AsyncInstant(api_key="k")
    with asyncio.Runner() as loop:

        def every(client: Any, client_async: Any) -> dict[str, Clock]:
            clocks = {name: timed(work, client, calls, pause_us) for name, work in SYNC.items()}
            for name, work in ASYNC.items():
                clocks[name] = loop.run(timed_async(work, client_async, calls, pause_us))
            return clocks

        bare = every(plain, plain_async)
        ways: dict[str, tuple[Any, bool]] = {
            "in the background (default)": (emitter, True),
            "background=False": (emitter, False),
            "background=False, event dropped": (Nothing(), False),
        }
        for way, (sink, background) in ways.items():
            with Meter(sink, background=background, customer_id="acme") as meter:
                for name, clock in every(metered(plain, meter), metered(plain_async, meter)).items():
                    found[f"{name}, {way}"] = clock.added(bare[name])
            assert not meter.stats.lost, meter.stats
    with tempfile.TemporaryDirectory() as folder:
        spooled = Emitter(NOBODY, spool=Path(folder) / "spool", client_config={"log_level": 0})
        for way, background, share in (("in the background", True, 1), ("background=False", False, 10)):
            with Meter(spooled, background=background, customer_id="acme") as meter:
                clock = timed(one, metered(plain, meter), calls // share, pause_us)
                found[f"a call, spool, {way}"] = clock.added(bare["a call"])
            assert not meter.stats.lost, meter.stats
        spooled.close(0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--pause-us", type=int, default=PAUSE_US)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.calls, options.pause_us)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    heads = ("p50", "p99", "CPU p50", "least", "process")
    print(f"{f'microseconds added, {options.calls} calls each':57} " + " ".join(f"{head:>8}" for head in heads))
    for name, figures in found.items():
        print(f"{name:57} " + " ".join(f"{figure:8}" for figure in figures.values()))
    slowest = max(figures["p50_us"] for name, figures in found.items() if "(default)" in name)
    print(f"the slowest as a meter is by default: p50 {slowest} us of {BOUND_US:g} us")


if __name__ == "__main__":
    main()
