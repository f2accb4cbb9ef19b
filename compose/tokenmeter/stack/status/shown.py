"""The table of ``tokenmeter status``, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.printable import printable
from tokenmeter.stack.state import Part, Stack
from tokenmeter.stack.status.look import Look

_STYLES = {True: "green", False: "bold red", None: ""}


def is_well(stack: Stack, looks: Mapping[str, Look]) -> bool:
    """Whether the supervisor lives and every part that was asked said that it works."""
    return stack.runs and all(one.ok is not False for one in looks.values())


def table(stack: Stack, looks: Mapping[str, Look]) -> Table:
    """A row a part."""
    made = Table(box=SIMPLE_HEAD)
    for head in ("part", "health", "lag", "restarts", "pid"):
        made.add_column(head, justify="left" if head in ("part", "health") else "right")
    made.add_column("url and log", overflow="fold")
    for name, part in stack.parts.items():
        one = looks.get(name, Look(None))
        lag = one.figures.get("lag")
        made.add_row(
            Text(name),
            Text(_health(part, one), style=_STYLES[one.ok]),
            "" if lag is None else f"{lag:,}",
            str(part.restarts or ""),
            str(part.pid or ""),
            Text(printable("\n".join(filter(None, (part.url, part.log))), keep="\n")),
        )
    return made


def _health(part: Part, one: Look) -> str:
    if one.ok is None:
        return part.state
    return "ok" if one.ok else printable(one.said)


def sentences(looks: Mapping[str, Look]) -> Iterator[tuple[str, bool]]:
    """What is to be said below the table, and whether it is bad."""
    figures = looks["clickhouse"].figures if "clickhouse" in looks else {}
    if figures:
        last, now = figures.get("last_page_ms"), figures.get("now_ms") or 0
        if last is None:
            yield "no page was loaded yet", False
        else:
            at = datetime.fromtimestamp(last / 1000, UTC)
            yield f"last page: {at:%Y-%m-%d %H:%M:%S} UTC, {_age(now - last)} ago", False
        quarantined, alerts = figures.get("quarantined", 0), figures.get("open_alerts", 0)
        if quarantined:
            yield f"{quarantined:,} events in quarantine (next: tokenmeter quarantine list)", True
        if misrouted := figures.get("misrouted"):
            next_ = "tokenmeter quarantine retry --reason misrouted --apply"
            yield f"{misrouted:,} of them misrouted: a producer has another partitioner (next: {next_})", True
        if strange := figures.get("foreign_records"):
            yield f"{strange:,} foreign records on our topics put aside (next: tokenmeter quarantine foreign)", True
        if alerts:
            yield f"{alerts:,} open alerts (next: tokenmeter alerts --since 7d)", True
    if rows := max((one.figures.get("foreign_catalog_rows", 0) for one in looks.values()), default=0):
        yield f"{rows:,} records of catalog are no rows and were passed over (next: tokenmeter audit)", True
    for name, one in looks.items():
        for blocked in one.figures.get("blocked", ()):
            yield f"{name} waits: {blocked}", True
        if lost := one.figures.get("lost_offsets"):
            yield f"{name} has lost {lost} offsets: retention removed them before they were read", True


def _age(ms: int) -> str:
    seconds = max(0, ms) // 1000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def as_dict(stack: Stack, looks: Mapping[str, Look]) -> dict[str, dict[str, Any]]:
    """The parts with passwords, each with ``healthy`` (null: not asked), what it said and its figures."""
    return {
        name: {**part, "healthy": one.ok, "said": one.said, **dict(one.figures)}
        for name, part in stack.as_dict().items()
        for one in (looks.get(name, Look(None)),)
    }
