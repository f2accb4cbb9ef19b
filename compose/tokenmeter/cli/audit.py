"""The verb ``audit``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tokenmeter.audit import AuditOptions, AuditReport, AuditSources, run
from tokenmeter.audit.noted import note
from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.printable import printable
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import make_console
from tokenmeter.cli.utc import utc
from tokenmeter.store.client import connect

EXAMPLES = (
    "Examples: tokenmeter audit --partition 0 --partition 3 · tokenmeter audit --since 2026-11-24T06:00 --strict · "
    "tokenmeter audit --json --out audit.json"
)


def audit(
    data: Annotated[
        Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")
    ] = None,
    partition: Annotated[
        list[int] | None, typer.Option(help="a partition of usage.events; may be repeated (default: all)")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="only pages closed since then, UTC")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit 1 also when events were lost before Kafka or wait")
    ] = False,
    no_clickhouse: Annotated[
        bool, typer.Option("--no-clickhouse", help="compare the topics alone, and need no ClickHouse")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the report as JSON")] = False,
    out: Annotated[Path | None, typer.Option(help="write the report to this file instead of printing it")] = None,
) -> None:
    """Recount the log, charges included, and compare it with the topics and ClickHouse; exit 1 on a difference or loss.

    Every event is counted and rated again, by the catalog below the offset its page names, without the meter's code,
    and compared with usage.pages, usage.billing, usage.market, usage.resale, usage.quarantine, the chain of digests,
    and the tables of ClickHouse. The CHARGE entries of ledger.entries are compared with the lines they are made of, and
    every account is booked again from its entries and compared with account.state. The first page (or account) and
    field that differs is named, e.g. the charge of billing line 3.
    """
    settings = load(data=data)
    client = kafka(settings)
    url, user, password = (None, "", "") if no_clickhouse else clickhouse(settings)
    sources = AuditSources(client, url, user, password, settings.dedup_horizon_minutes * 60_000)
    with _progress() as progress:
        report = run(sources, AuditOptions(partition, utc(since) if since else None), progress)
    if url is not None:
        _note(url, user, password, report)
    text = json.dumps(report.as_dict(), indent=2) if as_json else printable("\n".join(report.lines()), keep="\n")
    if out is None:
        sys.stdout.write(f"{text}\n")
    else:
        out.write_text(f"{text}\n", "utf-8")
        make_console(stderr=True).print(f"{'ok' if report.ok else 'NOT ok'}; written to {out}", highlight=False)
    if not report.passes(strict):
        raise typer.Exit(1)


def _note(url: str, user: str, password: str, report: AuditReport) -> None:
    """The board shows when the last audit was. An audit by a user who only reads is one too, but is not noted."""
    try:
        note(connect(url, user, password), report, datetime.now(UTC))
    except ClickHouseError as error:
        reason = str(error).splitlines()[0][:200]
        make_console(stderr=True).print(
            f"the board will not show this audit: {reason}", highlight=False, soft_wrap=True
        )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error, so that the report alone is on standard output."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield show
