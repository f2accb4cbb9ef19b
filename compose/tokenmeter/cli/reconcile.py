"""The verb ``reconcile``: shows what was metered again beyond the dedup horizon, and with --apply takes it off."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import make_console
from tokenmeter.ops.reconcile import Report, Sources, run
from tokenmeter.ops.reconcile.metrics import write_textfile
from tokenmeter.store.client import connect

ROWS_SHOWN = 40
"""Rows of the table; --json has all."""


def reconcile(
    apply: Annotated[bool, typer.Option("--apply", help="emit the CORRECTION events; twice changes nothing")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="judge every page that can be, not only those since the last clean run")
    ] = False,
    trust_store: Annotated[
        bool, typer.Option("--trust-store", help="correct also pages that usage.events no longer holds as a proof")
    ] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="seconds to wait for a meter or loader that is behind")
    ] = 60.0,
    textfile: Annotated[
        Path | None, typer.Option(help="write the result here for Prometheus's textfile collector (NAME.prom)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Compare each page's lines with the raw events, each once; show what was metered again; exit 1 if any is left."""
    settings = load(data=data)
    sources = Sources(kafka(settings), connect(*clickhouse(settings)), wait_s)
    console = make_console(stderr=as_json)
    with console.status("reconciling") as status:

        def say(line: str) -> None:
            status.update(line)
            if not console.is_terminal:
                console.print(line, highlight=False)

        report = run(sources, apply=apply, full=full, trust_store=trust_store, say=say)
    if textfile is not None:
        write_textfile(textfile, report)
    if as_json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        _show(report, console)
    if not report.ok:
        raise typer.Exit(1)


def _show(report: Report, console: Console) -> None:
    for note in report.notes:
        console.print(f"note: {note}", highlight=False)
    if report.unprovable:
        console.print(
            f"note: {report.unprovable} events came when raw copies of them may have been gone; they are believed",
            highlight=False,
        )
    if report.wrong:
        console.print(_table(report))
    at = ", ".join(f"{partition}@{offset}" for partition, offset in sorted(report.watermarks.items()))
    console.print(f"judged {report.pages} pages, up to offsets {at}", highlight=False, soft_wrap=True)
    if not report.wrong:
        console.print("lines = raw events, each once: nothing to correct")
    elif report.sent:
        console.print(f"{report.sent} corrections sent, metered and stored; {report.outstanding} wrong lines are left")
    else:
        console.print(f"{report.outstanding} wrong lines (next: tokenmeter reconcile --apply)")


def _table(report: Report) -> Table:
    table = Table(title="lines minus raw events", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("customer, project, key, model, variant, tier, provider, hour", overflow="fold")
    for name in ("calls", "input", "output"):
        table.add_column(name, justify="right")
    for key, measures in list(report.wrong.items())[:ROWS_SHOWN]:
        figures = (measures[name] for name in ("events", "input_tokens", "output_tokens"))
        table.add_row(" · ".join(map(_text, key)), *(f"{figure:+,}" for figure in figures))
    if len(report.wrong) > ROWS_SHOWN:
        table.add_row(f"and {len(report.wrong) - ROWS_SHOWN} more: --json", "", "", "")
    totals = (report.total(name) for name in ("events", "input_tokens", "output_tokens"))
    table.add_row(f"all {len(report.wrong)}", *(f"{total:+,}" for total in totals))
    return table


def _text(part: Any) -> str:
    if isinstance(part, datetime):
        return f"{part:%Y-%m-%d %H:00}"
    return "-" if part is None else str(part)
