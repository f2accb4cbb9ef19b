"""The ``tokenmeter`` command: one function a verb, each thin over the module that does the work."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.replay import Sent, send
from tokenmeter.emit.traces import read, yesterday
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Misconfigured, TokenmeterError
from tokenmeter.flow import ledger_app, load_app, meter_app, watch_app
from tokenmeter.flow.losses import lost_offsets
from tokenmeter.flow.meter import MeterRules
from tokenmeter.flow.page import PageLimits
from tokenmeter.flow.worker import WorkerConfig
from tokenmeter.stack import (
    cli_accounts,
    cli_alerts,
    cli_audit,
    cli_boards,
    cli_credit,
    cli_gateway,
    cli_keys,
    cli_ledger,
    cli_plans,
    cli_prices,
    cli_quarantine,
    cli_rebuild,
    cli_reconcile,
    cli_rerate,
    cli_simulate,
    cli_spool,
    cli_supplier,
    cli_usage,
    cli_watch,
    detached,
)
from tokenmeter.stack.demo import run_demo
from tokenmeter.stack.local import Fill, LocalStack
from tokenmeter.stack.places import bootstrap as _bootstrap
from tokenmeter.stack.places import clickhouse as _clickhouse
from tokenmeter.stack.settings import Settings, load
from tokenmeter.stack.state import Stack
from tokenmeter.stack.topics import ensure_topics, register_schemas
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import MIGRATE_TIMEOUT_S, migrate

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Meter LLM token usage, exactly once.")
app.add_typer(cli_quarantine.app, name="quarantine")
app.add_typer(cli_prices.app, name="prices")
app.add_typer(cli_accounts.app, name="accounts")
app.add_typer(cli_plans.app, name="plans")
app.add_typer(cli_keys.app, name="keys")
app.add_typer(cli_credit.app, name="credit")
app.add_typer(cli_simulate.app, name="simulate")
app.add_typer(cli_alerts.app, name="alerts")
app.add_typer(cli_watch.app, name="watch")
app.command(epilog="Example: tokenmeter rebuild --yes")(cli_rebuild.rebuild)
console = Console()

DEMO_CALLS = 20_000
DOWN_TIMEOUT_S = 90.0

app.command(epilog="Example: tokenmeter reconcile --apply")(cli_reconcile.reconcile)
app.command(epilog=cli_audit.EXAMPLES)(cli_audit.audit)
app.command(name="usage", epilog=cli_usage.EXAMPLES)(cli_usage.show_usage)
app.command(name="rerate", epilog=cli_rerate.EXAMPLES)(cli_rerate.rerate_usage)
app.command(name="reconcile-supplier", epilog=cli_supplier.EXAMPLES)(cli_supplier.reconcile_supplier)

DataOption = Annotated[Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")]
PortOption = Annotated[int, typer.Option(help="port of /health and /metrics")]
SlotOption = Annotated[str | None, typer.Option(help="worker slot: a replacement in the same slot takes over at once")]


NoBoardsOption = Annotated[bool, typer.Option("--no-boards", help="leave Superset out")]


def _say(text: str) -> None:
    console.print(text, highlight=False)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _local(settings: Settings, fill: Fill | None = None) -> Iterator[LocalStack]:
    """A running stack; whatever ends the block, SIGTERM included, stops it. ``fill``: see LocalStack."""
    stack = LocalStack(settings, _say, fill=fill)
    signal.signal(signal.SIGTERM, _interrupt)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def _until_interrupted(stack: LocalStack) -> None:
    try:
        while True:
            stack.watch()
            time.sleep(1)
    except KeyboardInterrupt:
        _say("stopping")


@app.command(epilog="Examples: tokenmeter up --detach --no-boards · tokenmeter up --brokers 3 --meters 2 --loaders 2")
def up(
    data: DataOption = None,
    no_boards: NoBoardsOption = False,
    detach: Annotated[bool, typer.Option("--detach", help="come back once everything runs; stop with down")] = False,
    brokers: Annotated[int | None, typer.Option(help="Kafka brokers; with 3 any one may fail (default 1)")] = None,
    meters: Annotated[int | None, typer.Option(help="meters, which share the partitions (default 1)")] = None,
    loaders: Annotated[int | None, typer.Option(help="loaders, which share the partitions (default 1)")] = None,
    ledgers: Annotated[int | None, typer.Option(help="ledgers, which share the partitions (default 1)")] = None,
    watches: Annotated[int | None, typer.Option(help="watches, which share the partitions (default 1)")] = None,
) -> None:
    """Run Kafka, ClickHouse, Superset and the workers here until Ctrl-C."""
    counts = {"brokers": brokers, "meters": meters, "loaders": loaders, "ledgers": ledgers, "watches": watches}
    settings = load(data=data, boards=False if no_boards else None, **counts)
    if detach:
        detached.start(settings, _say)
        return
    with _local(settings) as stack:
        _show_board(stack)
        _say("running; Ctrl-C stops everything")
        _until_interrupted(stack)


app.command(epilog=cli_boards.EXAMPLE)(cli_boards.boards)


def _show_board(stack: LocalStack) -> None:
    if (board := stack.board) is not None:
        console.print(f"board: {board.url}", highlight=False, soft_wrap=True)
        console.print(f"login: {board.user} / {board.password}", highlight=False, soft_wrap=True)


@app.command(epilog="Example: tokenmeter status --json")
def status(data: DataOption = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show each part: state, pid, URL, log (passwords only with --json)."""
    parts = Stack.load(load(data=data).data)
    _note_losses(parts)
    if as_json:
        sys.stdout.write(json.dumps(parts.as_dict(), indent=2) + "\n")
        return
    if not parts.parts:
        _say("nothing has run here yet (next: tokenmeter up)")
        return
    table = Table("part", "state", "pid", "url and log", box=SIMPLE_HEAD)
    for name, one in parts.parts.items():
        where = "\n".join(filter(None, (one.url, one.log)))
        table.add_row(name, one.state, str(one.pid or ""), Text(where, overflow="fold"))
    console.print(table)
    for name, one in parts.parts.items():
        if one.lost_offsets:
            lost = f"{name} has lost {one.lost_offsets} offsets: retention removed them before they were read"
            console.print(lost, style="red", highlight=False, soft_wrap=True)


def _note_losses(stack: Stack) -> None:
    """Ask Kafka, if it is there, what each worker's group has lost."""
    kafka = stack.parts.get("kafka")
    if kafka is None or kafka.url is None or kafka.state == "stopped":
        return
    client = {"bootstrap.servers": kafka.url}
    groups = {
        "meter": (meter_app.APP_ID, (EVENTS,)),
        "load": (load_app.APP_ID, load_app.TOPICS),
        "ledger": (ledger_app.APP_ID, ledger_app.TOPICS),
        "watch": (watch_app.APP_ID, watch_app.TOPICS),
    }
    for name, (group, topics) in groups.items():
        if name in stack.parts:
            stack.parts[name].lost_offsets = sum(lost_offsets(client, group, topics).values())


@app.command(epilog="Example: tokenmeter down")
def down(data: DataOption = None) -> None:
    """Stop the local stack; harmless when none runs."""
    parent = Stack.load(load(data=data).data).parts.get("tokenmeter")
    if parent is None or parent.pid is None:
        _say("no stack is running")
        return
    os.kill(parent.pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while Path(f"/proc/{parent.pid}").exists():
        if time.monotonic() > deadline:
            raise Misconfigured(f"process {parent.pid} did not stop", hint=f"kill -9 {parent.pid}")
        time.sleep(0.1)
    _say("stopped")


@app.command(epilog="Example: tokenmeter topics")
def topics(data: DataOption = None) -> None:
    """Create the topics that are missing and verify the others."""
    settings = load(data=data)
    created = ensure_topics({"bootstrap.servers": _bootstrap(settings)}, settings.partitions, settings.replication)
    schemas = register_schemas(settings.registry_url)
    _say(f"created: {', '.join(created) or 'nothing'}; every topic is as it must be")
    if settings.registry_url is not None:
        _say(f"the registry holds {schemas} schemas under the ids that tokenmeter writes")


@app.command(name="migrate", epilog="Example: tokenmeter migrate")
def migrate_tables(data: DataOption = None) -> None:
    """Bring ClickHouse's tables to this version."""
    client = connect(*_clickhouse(load(data=data)), query_timeout_s=MIGRATE_TIMEOUT_S)
    _say(f"applied: {', '.join(migrate(client, say=_say)) or 'nothing new'}")


@app.command(epilog="Example: tokenmeter meter --slot 1")
def meter(port: PortOption = 6066, slot: SlotOption = None, data: DataOption = None) -> None:
    """Run a meter: usage.events into billing and market lines."""
    settings = load(data=data)
    worker = WorkerConfig(
        meter_app.APP_ID,
        _bootstrap(settings),
        (EVENTS,),
        settings.data / "meter",
        web_port=port,
        instance_id=slot and f"meter-{slot}",
        limits=PageLimits(settings.page_seconds, settings.page_min_seconds, events=settings.page_events),
    )
    rules = MeterRules(settings.dedup_horizon_minutes * 60_000, settings.quarantine_ratio_max)
    meter_app.run(meter_app.MeterConfig(worker, rules))


@app.command(name="load", epilog="Example: tokenmeter load --slot 1")
def load_worker(port: PortOption = 6067, slot: SlotOption = None, data: DataOption = None) -> None:
    """Run a loader: every topic into ClickHouse."""
    settings = load(data=data)
    worker = WorkerConfig(
        load_app.APP_ID,
        _bootstrap(settings),
        load_app.TOPICS,
        settings.data / "load",
        web_port=port,
        instance_id=slot and f"load-{slot}",
        limits=PageLimits(seconds=load_app.PAGE_SECONDS, events=load_app.PAGE_EVENTS),
    )
    load_app.run(load_app.LoadConfig(worker, *_clickhouse(settings)))


app.command(epilog="Example: tokenmeter ledger --slot 1")(cli_ledger.ledger)


app.command(epilog="Example: TOKENMETER_GATEWAY_KEYS=key-1,key-2 tokenmeter gateway --host 0.0.0.0")(
    cli_gateway.gateway
)


@app.command(epilog="Example: tokenmeter replay calls.csv --speed max")
def replay(
    traces: Annotated[list[Path], typer.Argument(help="trace files: azure, mooncake or jsonl")],
    speed: Annotated[str, typer.Option(help="max, or N times real time")] = "max",
    start: Annotated[datetime | None, typer.Option(help="when the first call ended, UTC (default: yesterday)")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unreadable lines out and count them")] = False,
    data: DataOption = None,
) -> None:
    """Send usage traces through the SDK. Replaying a file twice counts once."""
    begin = start.replace(tzinfo=UTC) if start else yesterday(datetime.now(UTC))
    bad: list[Misconfigured] = []
    sent = Sent()
    with Emitter(_bootstrap(load(data=data))) as emitter:
        for trace in traces:
            with _bar(trace.name, None) as advance:
                events = read(trace, begin, on_bad=bad.append if skip_bad else None)
                send(events, emitter, sent, _speed(speed), advance)
    _say(f"{sent.events} events acknowledged" + (f", {len(bad)} unreadable lines left out" if bad else ""))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if factor <= 0:
        raise Misconfigured(f"--speed {text!r} is neither max nor a number above 0", hint="tokenmeter replay --help")
    return factor


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.update(task, completed=count)


@app.command(epilog="Example: tokenmeter demo --once --trace calls.csv")
def demo(
    once: Annotated[bool, typer.Option("--once", help="stop everything afterwards; exit 0 only if all agrees")] = False,
    trace: Annotated[list[Path] | None, typer.Option(help="replay this trace instead of generated calls")] = None,
    calls: Annotated[int, typer.Option(help="generated calls")] = DEMO_CALLS,
    no_boards: NoBoardsOption = False,
    no_history: Annotated[bool, typer.Option("--no-history", help="leave the simulated market out")] = False,
    data: DataOption = None,
) -> None:
    """Run everything, send calls through the SDK twice, and prove that all four places agree.

    The boards also show a simulated market of 18 months, which no figure of the proof contains.
    """
    boards_wanted = False if no_boards else None
    settings = load(data=data, boards=boards_wanted)
    if "data" not in settings.model_fields_set:
        # Figures are compared from empty, so each demo has a directory of its own.
        settings = load(data=settings.data / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}", boards=boards_wanted)
    history = None if no_history or no_boards else cli_simulate.history
    with _local(settings, history) as stack:
        holds = run_demo(stack, settings, trace or [], calls, console, _bar)
        _show_board(stack)
        if not once:
            _say(f"still running on {settings.data}; Ctrl-C stops everything")
            _until_interrupted(stack)
    if once and not holds:
        raise typer.Exit(1)


app.add_typer(cli_spool.make(console, _bootstrap, _bar), name="spool")


def main() -> None:
    """Run the command; an error of ours is one message and exit code 1."""
    try:
        app()
    except TokenmeterError as error:
        Console(stderr=True).print(f"tokenmeter: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
