"""``tokenmeter quarantine foreign``: what strangers wrote to topics of ours, or what is damaged there."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.places import clickhouse
from tokenmeter.cli.printable import printable
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import console
from tokenmeter.store.client import connect
from tokenmeter.store.statement import sql

SHOWN_BYTES_MAX = 60
ROWS_MAX = 10_000


def foreign(
    since: Annotated[datetime | None, typer.Option(help="written at or after this time, UTC")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="whole values, in hexadecimal")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """List the records that the loader put aside: where they are in Kafka, why they are none of ours, their bytes."""
    found = _rows(data, since)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")
        return
    if not found:
        console.print("no foreign records")
        return
    table = Table("topic", "partition", "offset", "written", "reason", "bytes", "begins", box=SIMPLE_HEAD)
    for row in found:
        value = bytes.fromhex(row["hexed"])
        begins = Text(printable(value[:SHOWN_BYTES_MAX].decode("utf-8", "backslashreplace")))
        at, size = f"{row['appended_at']:%Y-%m-%d %H:%M:%S}", str(row["bytes"])
        table.add_row(row["topic"], str(row["partition"]), str(row["offset"]), at, row["reason"], size, begins)
    console.print(table)
    console.print("they count nowhere; find who else writes to these topics", highlight=False)


def _rows(data: Path | None, since: datetime | None) -> list[dict[str, Any]]:
    statement = sql("foreign_records", "tokenmeter.ops.quarantine")
    since_ms = 0 if since is None else round(since.timestamp() * 1_000)
    client = connect(*clickhouse(load(data=data)))
    return list(client.query(statement, parameters={"since_ms": since_ms, "rows_max": ROWS_MAX}).named_results())
