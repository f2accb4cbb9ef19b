"""The verb ``simulate``: a market of 18 months to look at, and its removal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tokenmeter.cli import boards as cli_boards
from tokenmeter.cli.places import clickhouse
from tokenmeter.cli.settings import Settings, load
from tokenmeter.cli.terminal import console
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.stack.simulate import store
from tokenmeter.stack.simulate.market import MONTHS, market, span
from tokenmeter.store.client import connect

MARKET_EXAMPLES = "Examples: tokenmeter simulate market · tokenmeter simulate market --months 6 --seed 7 --beside"
MONTHS_MAX = 36

app = typer.Typer(no_args_is_help=True, help="A simulated market to look at, labelled as such on every board.")
DataOption = Annotated[Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")]


@app.command(name="market", epilog=MARKET_EXAMPLES)
def simulate_market(
    months: Annotated[int, typer.Option(min=1, max=MONTHS_MAX, help="up to the last full hour")] = MONTHS,
    seed: Annotated[int, typer.Option(min=0, help="another one strays otherwise between the known figures")] = 1,
    beside: Annotated[
        bool, typer.Option("--beside", help="also when the store holds metered usage: boards then show both together")
    ] = False,
    data: DataOption = None,
) -> None:
    """Write a realistic market for the boards, in place of the one before. Published weeks are met exactly.

    It has a database of its own, simulated: audit, reconcile, rebuild and statements never see it.
    """
    settings = load(data=data)
    client = connect(*clickhouse(settings))
    with _plain_errors():
        _require_tables(client, settings)
        metered = store.metered_rows(client)
        if metered and not beside:
            raise Misconfigured(
                f"the store holds {metered:,} rows of metered usage: boards would show them added to simulated ones",
                hint="tokenmeter simulate market --beside, if that is wanted",
            )
        history(client, months, seed, bar=True)
    _publish(settings)


@app.command(epilog="Example: tokenmeter simulate remove")
def remove(data: DataOption = None) -> None:
    """Remove everything that was simulated, and nothing else."""
    settings = load(data=data)
    client = connect(*clickhouse(settings))
    with _plain_errors():
        _require_tables(client, settings)
        removed = store.remove(client)
    console.print(f"removed: {removed:,} simulated lines and calls", highlight=False)
    _publish(settings)


def history(client: Client, months: int = MONTHS, seed: int = 1, bar: bool = False) -> None:
    """Make and write the market, with a bar if nothing else is printed meanwhile."""
    began = time.monotonic()
    made = market(span(datetime.now(UTC), months), seed)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not bar) as progress:
        task = progress.add_task("simulated market", total=store.stretch_count(made))
        store.put(client, made, lambda days: progress.update(task, completed=days))
    said = f"simulated: {made.lines.height:,} market lines and {made.calls.height:,} calls of {months} months"
    console.print(f"{said} in {time.monotonic() - began:.1f} s; seed {seed}", highlight=False)


def _publish(settings: Settings) -> None:
    """The boards say whether anything on them is simulated."""
    if not cli_boards.are_reachable(settings):
        console.print("next: tokenmeter boards, where Superset runs: they say what is simulated", highlight=False)
        return
    for title, url in cli_boards.put(settings).urls.items():
        console.print(f"{title}: {url}", highlight=False, soft_wrap=True)


def _require_tables(client: Client, settings: Settings) -> None:
    if settings.clickhouse_cluster is not None:
        raise Misconfigured("simulated rows are of one server and not of a cluster", hint="simulate on a local stack")
    if not client.command(f"EXISTS TABLE {store.DATABASE}.{store.TABLES[0]}"):
        raise Misconfigured("ClickHouse has no tables for simulated rows yet", hint="tokenmeter migrate")


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise Fatal(f"ClickHouse refused: {str(error).splitlines()[0][:300]}", hint="tokenmeter migrate") from error
