"""What a drop-in adds to a model call, in microseconds of the caller's time: ``python -m bench.hosts``.

Only our own work is timed, around real objects of the `openai` client: there is no server, so nothing of a network is
in the figures. The emitter is the real one without a broker: an event is validated, encoded and queued, as on any day.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from support.provider_answers import PIECES, chat, chat_chunks
from tokenmeter.emit import Emitter
from tokenmeter.emit.hosts import Meter
from tokenmeter.emit.hosts.call import Call
from tokenmeter.emit.usage import normalise
from tokenmeter.events import UsageEvent
from tokenmeter.events.models import Operation

CALLS = 5_000
PAUSE_US = 500
"""Between two calls: nobody calls a model in a tight loop. Caches are then cold, as they are on any day; --pause-us 0
shows the work itself, and in its p99 the backlog that such a loop leaves to the thread in the background."""
NOBODY = "127.0.0.1:9"
ASKED = {"model": "gpt-4o", "stream_options": {"include_usage": True}}


class Nothing:
    """A sink that takes everything and keeps nothing."""

    def emit_many(self, events: Sequence[UsageEvent]) -> None:
        pass


def percentiles(work: Callable[[], Any], times: int, pause_us: int) -> dict[str, float]:
    """Microseconds of ``work``: p50 and p99, after a warm-up."""
    for _ in range(times // 10):
        work()
    took = []
    for _ in range(times):
        if pause_us:
            time.sleep(pause_us / 1e6)
        began = time.perf_counter_ns()
        work()
        took.append(time.perf_counter_ns() - began)
    took.sort()
    return {"p50_us": round(took[times // 2] / 1000, 1), "p99_us": round(took[times * 99 // 100] / 1000, 1)}


def measure(calls: int, pause_us: int) -> dict[str, dict[str, float]]:
    """Each way of calling, by name."""
    answer = ChatCompletion.model_validate(chat({"model": "gpt-4o"}))
    chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in chat_chunks(ASKED)]

    def one(meter: Meter) -> None:
        Call(meter, "openai", Operation.CHAT, "gpt-4o").done(answer)

    def streamed(meter: Meter) -> None:
        call = Call(meter, "openai", Operation.CHAT, "gpt-4o", streamed=True)
        for chunk in chunks:
            call.chunk(chunk)
        call.ended()

    found = {"normalise alone": percentiles(lambda: normalise("openai", answer), calls, pause_us)}
    # More events than are made here: nobody is there to take them.
    settings: dict[str, Any] = {"buffer_events": 20 * calls, "on_full": "raise", "client_config": {"log_level": 0}}
    emitter = Emitter(NOBODY, **settings)
    lost = {}
    ways: dict[str, tuple[Any, bool]] = {
        "in the background (default)": (emitter, True),
        "background=False": (emitter, False),
        "background=False, event dropped": (Nothing(), False),
    }
    for name, (sink, background) in ways.items():
        with Meter(sink, background=background, customer_id="acme") as meter:
            found[f"a call, {name}"] = percentiles(lambda meter=meter: one(meter), calls, pause_us)
            found[f"a stream of {len(chunks)} chunks, {name}"] = percentiles(
                lambda meter=meter: streamed(meter), calls, pause_us
            )
        lost.update(meter.stats.lost)
    with tempfile.TemporaryDirectory() as folder:
        spooled = Emitter(NOBODY, spool=Path(folder) / "spool", client_config={"log_level": 0})
        for name, background, share in (("in the background", True, 1), ("background=False", False, 10)):
            with Meter(spooled, background=background, customer_id="acme") as meter:
                found[f"a call, spool, {name}"] = percentiles(lambda meter=meter: one(meter), calls // share, pause_us)
            lost.update(meter.stats.lost)
        spooled.close(0)
    assert not lost, lost
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
    print(
        f"{'added to a call':55} {'p50 us':>8} {'p99 us':>8}   ({options.calls} calls, {PIECES} text pieces a stream)"
    )
    for name, figures in found.items():
        print(f"{name:55} {figures['p50_us']:8} {figures['p99_us']:8}")


if __name__ == "__main__":
    main()
