"""The verb ``alerts``: shows them, follows them, and sends them to webhooks."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import httpx
import typer

from tokenmeter.boards.alerts import ALERTS
from tokenmeter.cli.catalog import DataOption, answering, client, say
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import console
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import Alert
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.alerts.chart import chart
from tokenmeter.stack.alerts.forward import forward, group_of
from tokenmeter.stack.alerts.history import day_of
from tokenmeter.stack.alerts.source import read, since
from tokenmeter.stack.alerts.webhook import TRY_S, Endpoint
from tokenmeter.stack.credit.shown import alert_line, as_json, figures
from tokenmeter.stack.state import Stack

EXAMPLES = (
    "Examples: tokenmeter alerts --since 7d · tokenmeter alerts --follow --account acme · "
    "TOKENMETER_WEBHOOK_SECRET=… tokenmeter alerts --webhook https://risk.example/alerts"
)
LOOK_S = 0.2


app = typer.Typer()


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def alerts(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", help="go on with each alert as it happens, until Ctrl-C")] = False,
    start: Annotated[
        str, typer.Option("--since", help="from then on: 30m, 1h, 7d ago, or a time in UTC; where a new webhook begins")
    ] = "1h",
    account: Annotated[str | None, typer.Option(help="those of one account")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    webhook: Annotated[
        list[str] | None,
        typer.Option(help="send each alert to this URL, at least once, until Ctrl-C; may be repeated"),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="signs what is sent; better by TOKENMETER_WEBHOOK_SECRET, which no one sees")
    ] = None,
    slack: Annotated[bool, typer.Option("--slack", help="send what Slack's incoming webhooks take")] = False,
    data: DataOption = None,
) -> None:
    """Show alerts: credit used up, budgets, forecasts, conflicts, and what is over again."""
    if context.invoked_subcommand is not None:
        return
    begin = since(start, datetime.now(UTC))

    def wanted(alert: Alert) -> bool:
        return account is None or alert.account_id == account

    settings = client(data)
    with answering(settings):
        if webhook:
            endpoints = _endpoints(webhook, _secret(secret, slack), slack)
            _forward(
                [
                    partial(forward, settings, group_of(one.url, account), one.deliver, begin, wanted)
                    for one in endpoints
                ]
            )
            return
        found = (alert for alert in read(settings, begin, follow) if wanted(alert))
        shown = found if follow else sorted(found, key=lambda alert: alert.broker_at)
        for alert in shown:
            if as_json_:
                sys.stdout.write(json.dumps(as_json(alert)) + "\n")
                sys.stdout.flush()
            else:
                say(alert_line(alert))


@app.command(epilog="Example: tokenmeter alerts explain 5f2a")
def explain(
    alert_id: Annotated[str, typer.Argument(help="the alert's id, or how it begins")],
    start: Annotated[str, typer.Option("--since", help="look for it from then on")] = "7d",
    data: DataOption = None,
) -> None:
    """Show what an anomaly is made of: its figures, its subject's last day beside its habit, and what moved."""
    settings = client(data)
    with answering(settings):
        begin = since(start, datetime.now(UTC))
        found = [alert for alert in read(settings, begin, follow=False) if alert.alert_id.startswith(alert_id)]
        if len({alert.alert_id for alert in found}) != 1:
            raise Misconfigured(
                f"{len(found)} alerts since {start} have an id that begins with {alert_id!r}",
                hint="tokenmeter alerts --since 7d --json lists them",
            )
        alert = found[0]
        say(alert_line(alert))
        console.print(figures(alert))
        if alert.score is None:
            return
        day = day_of(KafkaLogReader(settings), alert)
    console.print(chart(day), soft_wrap=True)
    for name, share in day.movers:
        say(f"{share:.0%} of it since {alert.since:%H:%M}Z: {name}")
    own = load(data=data)
    part = Stack.load(own.data).parts.get("boards")
    if (url := own.superset_url or (part.url if part is not None else None)) is not None:
        say(board_of(url, alert))


def board_of(superset_url: str, alert: Alert) -> str:
    """Where the alert's series is drawn beside its band, and how to choose it there."""
    chosen = f"; filter Anomaly, the one with ({alert.alert_id[:6]})" if alert.band_expected else ""
    return f"board: {superset_url.rstrip('/')}/superset/dashboard/{ALERTS.slug}/{chosen}"


def _secret(given: str | None, slack: bool) -> bytes | None:
    known = load().webhook_secret
    secret = given or (known.get_secret_value() if known is not None else None)
    if secret is None and not slack:
        raise Misconfigured(
            "without a secret no receiver can tell who sent an alert", hint="set TOKENMETER_WEBHOOK_SECRET"
        )
    return None if secret is None else secret.encode()


def _endpoints(urls: Sequence[str], secret: bytes | None, slack: bool) -> list[Endpoint]:
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise Misconfigured("--webhook takes a URL that begins with https:// or http://")
    return [Endpoint(url, secret, httpx.Client(timeout=TRY_S), time.time, slack) for url in dict.fromkeys(urls)]


def _forward(forwards: Sequence[Callable[[Callable[[], bool]], None]]) -> None:
    """A thread for each endpoint; the first error that is not an endpoint's own ends all."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stopping = threading.Event()
    failed: list[Exception] = []

    def run(send: Callable[[Callable[[], bool]], None]) -> None:
        try:
            send(stopping.is_set)
        except Exception as error:  # whatever it is ends the command, which tells of it
            failed.append(error)
            stopping.set()

    threads = [threading.Thread(target=run, args=(send,), daemon=True) for send in forwards]
    for thread in threads:
        thread.start()
    say(f"sending alerts to {len(forwards)} endpoints; Ctrl-C stops")
    try:
        while not stopping.wait(LOOK_S):
            pass
    finally:
        stopping.set()
        for thread in threads:
            thread.join(1)
    if failed:
        raise failed[0]
