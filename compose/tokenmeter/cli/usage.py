"""The verb ``usage``: what a customer used, without SQL."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.printable import printable
from tokenmeter.cli.settings import Settings, load
from tokenmeter.cli.terminal import make_console
from tokenmeter.events.errors import Fatal, TokenmeterError, Transient
from tokenmeter.ops.pages_read import pages_read
from tokenmeter.store.client import connect
from tokenmeter.store.usage import BY, COUNTS, Question, Usage, totalled, usage
from tokenmeter.store.usage_loaded import PagesRead
from tokenmeter.store.usage_period import period

EXAMPLES = (
    "Examples: tokenmeter usage acme · tokenmeter usage acme --since 2026-10-01 --until 2026-11-01 --by day --csv"
)
SHOWN = {
    "calls": "calls",
    "input_tokens": "input",
    "cached_input_tokens": "cached",
    "output_tokens": "output",
    "unpriced": "unpriced",
}
"""Columns of the table and their heads; --json and --csv have all."""


def show_usage(
    customer: Annotated[str, typer.Argument(help="whose usage")],
    since: Annotated[str | None, typer.Option(help="from this hour on, UTC, or 7d ago (default: this month)")] = None,
    until: Annotated[str | None, typer.Option(help="up to this hour, UTC (default: now)")] = None,
    by: Annotated[list[str] | None, typer.Option(help=f"a row for each of {', '.join(BY)}; may be repeated")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    as_csv: Annotated[bool, typer.Option("--csv")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Show a customer's calls, tokens and charges, and up to when the answer is complete."""
    settings = load(data=data)
    now = datetime.now(UTC)
    question = Question(customer, *period(since, until, now), tuple(by or ()))
    client = connect(*clickhouse(settings))
    read = _pages_read(settings)
    try:
        answer = usage(client, question, now, read)
    except ClickHouseError as error:
        reason = str(error).splitlines()[0][:300]
        raise Fatal(f"ClickHouse did not answer: {reason}", hint="tokenmeter doctor") from error
    if as_json:
        sys.stdout.write(json.dumps(answer.as_dict(), indent=2) + "\n")
    elif as_csv:
        _write_csv(answer)
    else:
        _show(answer)
    make_console(stderr=True).print(_until(answer, read), highlight=False, markup=False, soft_wrap=True)


def _pages_read(settings: Settings) -> PagesRead | None:
    """None when there is no Kafka to ask: the answer is then complete up to the newest page."""
    try:
        return pages_read(kafka(settings))
    except (Transient, TokenmeterError):
        return None


def _until(answer: Usage, read: PagesRead | None) -> str:
    if answer.complete_until is None:
        return "how complete this is cannot be said: pages are missing in ClickHouse (next: tokenmeter status)"
    told = f"complete for all that was metered until {answer.complete_until:%Y-%m-%d %H:%M:%S} UTC"
    return told if read is not None else f"{told}, the newest page; Kafka, which knows of later ones, was not asked"


def _money(charges: dict[str, Decimal]) -> str:
    return " + ".join(f"{amount:,.6f} {currency}" for currency, amount in charges.items()) or "-"


def _show(answer: Usage) -> None:
    by = [name for name in BY if name in answer.question.by]
    table = Table(box=SIMPLE_HEAD)
    for name in by:
        table.add_column(name, overflow="fold", min_width=10)
    for head in (*SHOWN.values(), "charges"):
        table.add_column(head, justify="right", no_wrap=True)

    def add(names: list[str], row: dict[str, Any], style: str = "") -> None:
        cells = [*names, *(f"{row[name]:,}" for name in SHOWN), _money(row["charges"])]
        table.add_row(*(Text(printable(cell)) for cell in cells), style=style)

    for row in answer.rows if by else ():
        add(["(none)" if row[name] is None else str(row[name]) for name in by], row)
    add(["all", *[""] * (len(by) - 1)] if by else [], totalled(answer.rows), "bold")
    asked = answer.question
    console = make_console()
    period_ = f"{asked.since:%Y-%m-%d %H:%M} to {asked.until:%Y-%m-%d %H:%M} UTC"
    console.print(f"{printable(asked.customer_id)}: {period_}", highlight=False, markup=False)
    console.print(table)


def _write_csv(answer: Usage) -> None:
    """A row for each currency's charge would count tokens twice, so each currency is a column."""
    document = answer.as_dict()
    rows = document["rows"] if answer.question.by else [document["total"]]
    currencies = sorted(document["total"]["charges"])
    by = [name for name in BY if name in answer.question.by]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*by, *COUNTS, *(f"charge_{currency}" for currency in currencies)])
    for row in rows:
        charges = [row["charges"].get(currency, "") for currency in currencies]
        out.writerow([*(row[name] or "" for name in by), *(row[name] for name in COUNTS), *charges])
