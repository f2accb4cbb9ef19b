"""The verb ``rerate``: what usage would be charged by the catalog as it is known now, and booking the difference."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import make_console
from tokenmeter.ops.reconcile.pages import END, Filter
from tokenmeter.ops.rerate import Options, Report, rerate
from tokenmeter.ops.rerate.report import texts, totals, write_csv
from tokenmeter.store.client import connect

EXAMPLES = (
    "Examples: tokenmeter rerate --since 2026-11-01 --model openai/gpt-5 · "
    "tokenmeter rerate --since 2026-11-01T08:00 --customer acme --csv difference.csv --apply"
)
ROWS_SHOWN = 40
"""Rows of the table; --csv and --json have all."""
LEFT_SHOWN = 20
"""Lines that are left as they are; --json has all."""
_CHARGE = ("old charge", "new charge", "difference", "in")
_COST = ("old cost", "new cost", "difference ", "in ")


def rerate_usage(
    since: Annotated[datetime, typer.Option(help="calls that ended in this UTC hour or later")],
    until: Annotated[datetime | None, typer.Option(help="calls of hours that began before this, UTC")] = None,
    model: Annotated[list[str] | None, typer.Option(help="of this model; may be repeated")] = None,
    customer: Annotated[list[str] | None, typer.Option(help="of this customer; may be repeated")] = None,
    as_known_at: Annotated[int | None, typer.Option(min=0, help="the catalog below this offset")] = None,
    csv: Annotated[Path | None, typer.Option(help="write every row to this file")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="book the difference; twice changes nothing")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="seconds to wait for a meter or loader that is behind")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Show what calls would be charged by today's catalog against what they were; exit 1 if any is left to book."""
    settings = load(data=data)
    only = Filter(_hour(since), END if until is None else _utc(until), tuple(model or ()), tuple(customer or ()))
    client = kafka(settings)
    options = Options(client, connect(*clickhouse(settings)), only, as_known_at, apply, wait_s)
    console = make_console(stderr=as_json)
    with console.status("re-rating") as status:

        def say(line: str) -> None:
            status.update(line)
            if not console.is_terminal:
                console.print(line, highlight=False)

        report = rerate(options, say)
    if csv is not None:
        write_csv(csv, report.rows)
    if as_json:
        sys.stdout.write(json.dumps(_as_dict(report), indent=2, default=str) + "\n")
    else:
        _show(report, console)
    if report.outstanding:
        raise typer.Exit(1)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _hour(time: datetime) -> datetime:
    """Lines know no more than hours."""
    return _utc(time).replace(minute=0, second=0, microsecond=0)


def _as_dict(report: Report) -> dict[str, Any]:
    names = ("catalog_offset", "pages", "moves", "booked", "outstanding", "left", "left_lines")
    return {**{name: getattr(report, name) for name in names}, "rows": [texts(row) for row in report.rows]}


def _show(report: Report, console: Console) -> None:
    found = report.rows
    if found:
        console.print(_table(found))
    for name, currency, difference in totals(found):
        console.print(f"{name}: {difference:+f} {currency}", highlight=False)
    for line in report.left_lines[:LEFT_SHOWN]:
        console.print(_left(line), highlight=False, markup=False, soft_wrap=True)
    for reason, calls in report.left.items():
        console.print(f"{calls:,} calls {reason}", highlight=False, soft_wrap=True)
    console.print(f"judged {report.pages} pages by the catalog below offset {report.catalog_offset}", highlight=False)
    if report.booked:
        console.print(f"{report.booked} corrections booked, metered and stored; {report.outstanding} are left")
    elif report.moves:
        console.print(f"{report.moves} corrections would book it (next: tokenmeter rerate --apply)", highlight=False)
    else:
        console.print(f"every {'other ' if report.left else ''}call is charged as the catalog says")


def _left(line: dict[str, Any]) -> str:
    where = f"page:{line['partition']}@{line['first_offset']} {line['occurred_hour']:%Y-%m-%d %H}:00"
    return f"{where} {line['customer_id']} {line['model']}: {line['calls']} calls {line['reason']}"


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="charge and cost: as booked, by the catalog", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("customer", overflow="fold")
    table.add_column("model", overflow="fold")
    for name in ("calls", "tokens", *_CHARGE, *_COST):
        table.add_column(name.strip(), justify="right", overflow="fold")
    for row in found[:ROWS_SHOWN]:
        tokens = None if row["calls"] is None else row["input_tokens"] + row["output_tokens"]
        money = [*_money(row, "charge", "currency"), *_money(row, "cost", "cost_currency")]
        table.add_row(row["customer_id"], row["model"], _count(row["calls"]), _count(tokens), *money)
    if len(found) > ROWS_SHOWN:
        table.add_row(f"and {len(found) - ROWS_SHOWN} more: --csv or --json", *[""] * 11)
    return table


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _money(row: dict[str, Any], name: str, currency: str) -> list[str]:
    values = [row[f"old_{name}"], row[f"new_{name}"], row[f"{name}_difference"]]
    texts_ = ["-" if value is None else f"{value:{sign}f}" for value, sign in zip(values, ("", "", "+"), strict=True)]
    return [*texts_, row[currency] or ""]
