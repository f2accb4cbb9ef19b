"""The verb ``reconcile-supplier``: an upstream's bill against what our lines say it costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.client import Client

from tokenmeter.cli.places import clickhouse
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import make_console
from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.supplier.compare import MEASURES, compare, compare_reported
from tokenmeter.ops.supplier.export import Export, read_export
from tokenmeter.ops.supplier.figures import Tolerance, tolerance_of
from tokenmeter.ops.supplier.mapping import Mapping, built_in, mapping_in
from tokenmeter.ops.supplier.ours import REPORTED_CURRENCY, Days, our_costs, reported_costs
from tokenmeter.ops.supplier.report import Comparison
from tokenmeter.store.client import connect

EXAMPLES = (
    "Examples: tokenmeter reconcile-supplier activity.csv --format openrouter --tolerance 0.5% · "
    "tokenmeter reconcile-supplier bill.csv --mapping acme.toml --provider acme · "
    "tokenmeter reconcile-supplier --reported --since 2026-11-01"
)
BAD_LINES_SHOWN = 20
REPORTED_DAYS = 31
"""How far back --reported looks without --since."""
_DAY = timedelta(days=1)


def reconcile_supplier(
    file: Annotated[Path | None, typer.Argument(help="the upstream's usage export, CSV")] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML that says which column is what")] = None,
    format: Annotated[str | None, typer.Option(help="a built-in mapping: openrouter or openai")] = None,
    provider: Annotated[
        list[str] | None, typer.Option(help="our lines of this provider; may be repeated (default: the mapping's)")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="first day (default: the first of the file)")] = None,
    until: Annotated[datetime | None, typer.Option(help="the day after the last (default: all of the file)")] = None,
    tolerance: Annotated[str, typer.Option(help="how far amounts may be apart: 0.5% of theirs, or 0.01")] = "0%",
    tokens: Annotated[bool, typer.Option("--tokens", help="tokens must match too, not the amount alone")] = False,
    reported: Annotated[
        bool, typer.Option("--reported", help="no file: upstream's own figure of each call against our cost of it")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unreadable lines out and go on; exit 1")] = False,
    csv: Annotated[Path | None, typer.Option(help="write every row to this file")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Compare an upstream's usage export with our cost by day and model; exit 1 unless all of it matches."""
    allowed = _tolerance(tolerance)
    if reported == (file is not None):
        raise Misconfigured("give an upstream's FILE, or --reported", hint="tokenmeter reconcile-supplier --help")
    days = (since.date() if since else None, until.date() if until else None)
    if file is None:
        client = connect(*clickhouse(load(data=data)))
        made = _reported(client, days, provider or (), allowed)
    else:
        export = read_export(file, _layouts(mapping, format))
        if export.bad and not skip_bad:
            raise Misconfigured(_named(export), hint="mend the file or the mapping, or --skip-bad")
        client = connect(*clickhouse(load(data=data)))
        made = _billed(client, file.name, export, days, provider or export.mapping.provider, allowed, tokens)
    if csv is not None:
        made.write_csv(csv)
    _show(made, as_json)
    if not made.ok:
        raise typer.Exit(1)


def _tolerance(text: str) -> Tolerance:
    try:
        return tolerance_of(text)
    except ValueError as error:
        raise Misconfigured(f"--tolerance: {error}", hint="0.5%, or an amount as in 0.01") from error


def _layouts(mapping: Path | None, name: str | None) -> Sequence[Mapping]:
    if (mapping is None) == (name is None):
        raise Misconfigured("say how the file is to be read", hint="--format openrouter, --format openai or --mapping")
    return (mapping_in(mapping),) if mapping is not None else built_in(name or "")


def _named(export: Export) -> str:
    named = "\n".join(map(str, export.bad[:BAD_LINES_SHOWN]))
    more = len(export.bad) - BAD_LINES_SHOWN
    return f"{len(export.bad)} lines cannot be read, so their sums are not known:\n{named}" + (
        f"\nand {more} more" if more > 0 else ""
    )


def _billed(
    client: Client,
    name: str,
    export: Export,
    days: tuple[date | None, date | None],
    providers: Sequence[str],
    tolerance: Tolerance,
    tokens: bool,
) -> Comparison:
    found = sorted(key.day for key in export.sums)
    if not found:
        raise Misconfigured(f"{name} has no usage in it: there is nothing to compare", hint="export another period")
    scope = Days(days[0] or found[0], days[1] or found[-1] + _DAY, export.zone)
    theirs = {key: figures for key, figures in export.sums.items() if scope.since <= key.day < scope.until}
    measures: tuple[str, ...] = MEASURES[:1] if export.mapping.cost else MEASURES[1:]
    if tokens:
        if export.mapping.tokens is None:
            raise Misconfigured(f"{name} says nothing of tokens", hint="leave --tokens out, or map them")
        measures = tuple(one for one in MEASURES if one in (*measures, *MEASURES[1:]))
    made = Comparison(name, compare(theirs, our_costs(client, scope, providers), tolerance, measures), export.bad)
    if not providers:
        made.notes.append("compared with our lines of all providers; --provider chooses")
    made.notes.append(f"days of {scope.zone} from {scope.since} to {scope.until - _DAY}, {export.lines} lines read")
    return made


def _reported(
    client: Client, days: tuple[date | None, date | None], providers: Sequence[str], tolerance: Tolerance
) -> Comparison:
    until = days[1] or datetime.now(UTC).date() + _DAY
    scope = Days(days[0] or until - REPORTED_DAYS * _DAY, until)
    rows = compare_reported(reported_costs(client, scope, providers), tolerance, REPORTED_CURRENCY)
    return Comparison("reported", rows, notes=[f"UTC days from {scope.since} to {scope.until - _DAY}"])


def _show(made: Comparison, as_json: bool) -> None:
    console = make_console(stderr=as_json)
    for line in made.bad[:BAD_LINES_SHOWN]:
        console.print(f"left out: {line}", style="red", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(json.dumps(made.as_dict(), indent=2) + "\n")
        return
    for note in made.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    if made.rows:
        console.print(made.table())
    counts = ", ".join(f"{count} {verdict}" for verdict, count in made.as_dict()["verdicts"].items())
    console.print(counts or "nothing to compare", highlight=False)
