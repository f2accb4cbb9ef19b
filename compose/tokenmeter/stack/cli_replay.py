"""The verb ``replay``: sends usage traces through the SDK."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.replay import Sent, send
from tokenmeter.emit.traces import read, yesterday
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.places import bootstrap
from tokenmeter.stack.settings import load
from tokenmeter.stack.terminal import DataOption, bar, say

EXAMPLES = "Example: tokenmeter replay calls.csv --speed max"


def replay(
    traces: Annotated[list[Path], typer.Argument(help="trace files: azure, mooncake or jsonl")],
    speed: Annotated[str, typer.Option(help="max, or N times real time")] = "max",
    start: Annotated[datetime | None, typer.Option(help="when the first call ended, UTC (default: yesterday)")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unreadable lines out and count them")] = False,
    data: DataOption = None,
) -> None:
    """Send usage traces through the SDK. Replaying a file twice counts once."""
    begin = start.replace(tzinfo=UTC) if start else yesterday(datetime.now(UTC))
    bad: list[Misconfigured] = []
    sent = Sent()
    with Emitter(bootstrap(load(data=data))) as emitter:
        for trace in traces:
            with bar(trace.name, None) as advance:
                events = read(trace, begin, on_bad=bad.append if skip_bad else None)
                send(events, emitter, sent, _speed(speed), advance)
    say(f"{sent.events} events acknowledged" + (f", {len(bad)} unreadable lines left out" if bad else ""))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if factor <= 0:
        raise Misconfigured(f"--speed {text!r} is neither max nor a number above 0", hint="tokenmeter replay --help")
    return factor
