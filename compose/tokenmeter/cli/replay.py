"""The verb ``replay``: sends usage traces through the SDK."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tokenmeter.cli.places import kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, bar, say
from tokenmeter.cli.utc import utc
from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.replay.replay import Sent, send
from tokenmeter.emit.replay.traces import lines_of, read, yesterday
from tokenmeter.events import UsageEvent
from tokenmeter.events.accept import EARLY_MAX_US, LATE_MAX_US
from tokenmeter.events.errors import Misconfigured

EXAMPLES = (
    "Examples: tokenmeter replay calls.csv.gz · tokenmeter replay calls.csv --start 2026-11-20T08:00+01:00 --speed 60"
)
_LATE, _EARLY = timedelta(microseconds=LATE_MAX_US), timedelta(microseconds=EARLY_MAX_US)


def replay(
    traces: Annotated[list[Path], typer.Argument(help="trace files: azure, mooncake or jsonl; gzip too")],
    speed: Annotated[str, typer.Option(help="max, or N times real time")] = "max",
    start: Annotated[
        datetime | None,
        typer.Option(help="when the first call ended, UTC or with an offset (default: yesterday)"),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unreadable lines out and count them")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="send also what will be quarantined for its time")] = False,
    data: DataOption = None,
) -> None:
    """Send usage traces through the SDK. Replaying a file twice counts once."""
    now = datetime.now(UTC)
    begin = utc(start) if start else yesterday(now)
    factor = _speed(speed)
    client = kafka(load(data=data))
    bad: list[Misconfigured] = []
    refused: Counter[str] = Counter()
    sent = Sent()
    read_ = partial(read, start=begin, on_bad=bad.append if skip_bad else None)
    counts = [lines_of(trace) for trace in traces]
    for trace in () if anyway else traces:
        _require_accepted(trace, read_(trace), now)
    bad.clear()
    with Emitter(client["bootstrap.servers"], client_config=client) as emitter:
        for trace, count in zip(traces, counts, strict=True):
            with bar(trace.name, count) as advance:
                send(_counted(read_(trace), now, refused), emitter, sent, factor, advance)
    say(f"{sent.events} events acknowledged" + (f", {len(bad)} unreadable lines left out" if bad else ""))
    for reason, number in refused.items():
        say(f"{number} of them will be quarantined as {reason} (next: tokenmeter quarantine list --reason {reason})")


def reason_of(event: UsageEvent, now: datetime) -> str | None:
    """``late`` or ``early``, when the meter will not accept the event's time, sent now."""
    if event.occurred_at < now - _LATE:
        return "late"
    return "early" if event.occurred_at > now + _EARLY else None


def _require_accepted(trace: Path, events: Iterator[UsageEvent], now: datetime) -> None:
    """Raises Misconfigured before anything is sent when a trace already begins outside of the accepted time."""
    first = next(events, None)
    if first is not None and (reason := reason_of(first, now)):
        raise Misconfigured(
            f"{trace} begins at {first.occurred_at:%Y-%m-%d %H:%M} UTC: the meter takes calls of the last "
            f"{_LATE.days} days, and would quarantine what is older or of the future as {reason}; nothing was sent",
            hint="another --start, or --anyway",
        )


def _counted(events: Iterable[UsageEvent], now: datetime, refused: Counter[str]) -> Iterator[UsageEvent]:
    for event in events:
        if reason := reason_of(event, now):
            refused[reason] += 1
        yield event


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise Misconfigured(f"--speed {text!r} is neither max nor a number above 0", hint="tokenmeter replay --help")
    return factor
