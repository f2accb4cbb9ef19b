"""``tokenmeter quarantine``: what lies there and why, one event closely, and putting back what is accepted now."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.foreign import foreign
from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.printable import printable
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import console
from tokenmeter.cli.utc import utc
from tokenmeter.events.contract import EVENTS, RELEASED
from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.quarantine.ledger import ledger, read
from tokenmeter.ops.quarantine.partial import read_partially
from tokenmeter.ops.quarantine.plan import SEND, Position, advice, verdicts
from tokenmeter.ops.quarantine.release import Releaser
from tokenmeter.ops.quarantine.retry import Choice, counted_in, retry
from tokenmeter.store.client import connect

app = typer.Typer(no_args_is_help=True, help="Look at events that could not be used, and count them after a fix.")

app.command(epilog="Example: tokenmeter quarantine foreign --since 2026-11-01")(foreign)

SHOWN_BYTES_MAX = 4_096
HEX_COLUMNS = 16

DataOption = Annotated[Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")]
JsonOption = Annotated[bool, typer.Option("--json")]


def position_of(text: str) -> Position:
    """``PARTITION:OFFSET`` as numbers; Misconfigured if it is none."""
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise Misconfigured(
            f"{text!r} is not a position on {EVENTS}: expected PARTITION:OFFSET, as in 3:1042",
            hint="tokenmeter quarantine list --reason REASON",
        )
    return int(partition), int(offset)


def _kafka(data: Path | None) -> dict[str, Any]:
    return kafka(load(data=data))


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


@app.command(name="list", epilog="Example: tokenmeter quarantine list --reason schema --since 2026-11-01")
def list_(
    reason: Annotated[str | None, typer.Option(help="count this reason by customer")] = None,
    since: Annotated[datetime | None, typer.Option(help="appended at or after this time, UTC")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Count the open quarantine by reason, or one reason by customer."""
    found = ledger(_kafka(data))
    rows = found.open
    if since is not None:
        rows = rows.filter(pl.col("appended_at") >= utc(since))
    by = "reason"
    if reason is not None:
        rows, by = rows.filter(pl.col("reason") == reason), "customer_id"
    counts = (
        rows.group_by(by)
        .agg(
            pl.len().alias("events"),
            pl.col("bytes").sum(),
            pl.col("appended_at").min().alias("first_seen"),
            pl.col("appended_at").max().alias("last_seen"),
            pl.concat_str("partition", pl.lit(":"), "offset").first().alias("example"),
        )
        .sort("events", by, descending=[True, False])
    )
    if as_json:
        released = found.released.height
        _print_json({"events": rows.height, "released": released, "by": by, "rows": counts.to_dicts()})
        return
    table = Table(*counts.columns, box=SIMPLE_HEAD)
    for row in counts.iter_rows():
        cells = ("(unknown)" if value is None else printable(value) for value in row)
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    console.print(table if counts.height else "nothing is in quarantine")
    console.print(f"{rows.height} events open, {found.released.height} released", highlight=False)


@app.command(epilog="Example: tokenmeter quarantine show 3:1042 --raw event.bin")
def show(
    position: Annotated[str, typer.Argument(help="PARTITION:OFFSET on usage.events")],
    raw: Annotated[Path | None, typer.Option(help="write the original bytes to this file")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show one event: why it is here, what of it can be read, its bytes."""
    partition, offset = position_of(position)
    here = (pl.col("partition") == partition) & (pl.col("offset") == offset)
    records = [row for frame in read(_kafka(data)) for row in frame.filter(here).iter_rows(named=True)]
    record = next((row for row in records if row["reason"] != RELEASED), None)
    if record is None:
        raise Misconfigured(f"{EVENTS} {position} is not in quarantine", hint="tokenmeter quarantine list")
    released = next((row for row in records if row["reason"] == RELEASED), None)
    value: bytes = record["value"]
    partial = read_partially(value)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    verdict = verdicts(pl.DataFrame([record]), now_ms, lambda identities: {}, set())[0]
    if raw is not None:
        raw.write_bytes(value)
    facts = {
        "position": f"{EVENTS} {position}",
        "reason": record["reason"],
        "detail": record["detail"],
        "appended_at": record["appended_at"],
        "quarantined_at": record["quarantined_at"],
        "released_at": released and released["quarantined_at"],
        "now": f"{verdict.verdict}: {advice(verdict.verdict)}",
        "schema": f"{partial.schema.name} v{partial.schema.version}" + (" (a guess)" if partial.guessed else ""),
        "damage": partial.damage,
        "bytes": len(value),
    }
    if as_json:
        fields = {field.name: field.value for field in partial.fields}
        _print_json({**facts, "fields": fields, "value": value.hex()})
        return
    for name, fact in facts.items():
        console.print(Text(f"{name:15} {'-' if fact is None else printable(fact)}"), soft_wrap=True)
    table = Table("byte", "field", "value", box=SIMPLE_HEAD)
    for field in partial.fields:
        table.add_row(str(field.begin), field.name, Text(printable(field.value), overflow="fold"))
    console.print(table)
    for line in _hex(value[:SHOWN_BYTES_MAX]):
        console.print(Text(line), soft_wrap=True)
    if len(value) > SHOWN_BYTES_MAX:
        console.print(f"... {len(value) - SHOWN_BYTES_MAX} bytes more; --raw FILE writes all", highlight=False)


def _hex(value: bytes) -> list[str]:
    lines = []
    for at in range(0, len(value), HEX_COLUMNS):
        part = value[at : at + HEX_COLUMNS]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):{3 * HEX_COLUMNS}} {text}")
    return lines


@app.command(name="retry", epilog="Example: tokenmeter quarantine retry --reason schema --apply")
def retry_(
    reason: Annotated[list[str] | None, typer.Option(help="every open event with this reason; may be repeated")] = None,
    position: Annotated[list[str] | None, typer.Option(help="PARTITION:OFFSET; may be repeated")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every open event")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="send; without it only say what would be sent")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Send quarantined events again that are accepted now; each is counted once, however often this is run."""
    choice = Choice(everything, frozenset(reason or ()), frozenset(map(position_of, position or ())))
    if choice == Choice():
        raise Misconfigured("nothing is chosen", hint="give --reason, --position or --all")
    kafka = _kafka(data)
    counted = counted_in(kafka, connect(*clickhouse(load(data=data))))
    with Progress(console=console, transient=True, disable=as_json) as bar:
        task = bar.add_task("quarantine", total=None)
        outcome = retry(
            kafka,
            choice,
            counted,
            Releaser(kafka) if apply else None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    counts = Counter(one.verdict for one in outcome.verdicts)
    if as_json:
        rows = [vars(one) for one in outcome.verdicts]
        _print_json({"applied": apply, "released": outcome.released, "verdicts": dict(counts), "events": rows})
        return
    table = Table("verdict", "events", "example", "what it means", box=SIMPLE_HEAD)
    for verdict, count in counts.most_common():
        example = next(one for one in outcome.verdicts if one.verdict == verdict)
        table.add_row(verdict, str(count), f"{example.partition}:{example.offset}", advice(verdict))
    if outcome.verdicts:
        console.print(table)
    said = f"{outcome.released} events sent again" if apply else f"{counts[SEND]} would be sent; --apply sends them"
    console.print(f"{said}, {len(outcome.verdicts) - counts[SEND]} stay", highlight=False)
