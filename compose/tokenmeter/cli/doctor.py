"""The verb ``doctor``: what is wrong, and the command that mends it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from tokenmeter.cli.boards import are_reachable, reader_of
from tokenmeter.cli.places import clickhouse as place_of_clickhouse
from tokenmeter.cli.places import kafka as place_of_kafka
from tokenmeter.cli.places import part
from tokenmeter.cli.printable import printable
from tokenmeter.cli.settings import Settings, load
from tokenmeter.cli.terminal import DataOption, console
from tokenmeter.events.groups import LOAD
from tokenmeter.kafka.identity import topic_ids
from tokenmeter.stack.doctor import here
from tokenmeter.stack.doctor.clickhouse import boards_user, clickhouse, topics
from tokenmeter.stack.doctor.finding import Check, Finding, failed, is_well
from tokenmeter.stack.doctor.kafka import is_there, kafka
from tokenmeter.stack.doctor.superset import superset
from tokenmeter.stack.status.ask import ask_all
from tokenmeter.store.client import connect

EXAMPLES = "Example: tokenmeter doctor --json"
WITHIN_S = 30.0
QUERY_S = 10
_MARKS = {True: ("ok", "green"), False: ("WRONG", "bold red"), None: ("note", "")}


def doctor(data: DataOption = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Look for what is wrong: settings, Kafka, ClickHouse, Superset, clocks, disk. Exit 1 when something is."""
    findings = examine(load(data=data), os.environ)
    if as_json:
        document = {"ok": is_well(findings), "findings": [asdict(one) for one in findings]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    for one in () if as_json else findings:
        mark, style = _MARKS[one.ok]
        console.print(Text.assemble((f"{mark:6}", style), printable(f"{one.what}: {one.said}")), soft_wrap=True)
        if one.mend is not None:
            console.print(Text(printable(f"      next: {one.mend}")), soft_wrap=True)
    if not is_well(findings):
        raise typer.Exit(1)


def examine(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """All checks side by side; one that does not come to its end is a finding."""

    def check_kafka() -> list[Finding]:
        return kafka(place_of_kafka(settings), settings.partitions, settings.replication)

    def check_clickhouse() -> list[Finding]:
        return clickhouse(connect(*place_of_clickhouse(settings), query_timeout_s=QUERY_S))

    def check_rows() -> list[Finding]:
        client = place_of_kafka(settings)
        if not is_there(client):
            return []  # it is said of Kafka already
        return topics(connect(*place_of_clickhouse(settings), query_timeout_s=QUERY_S), topic_ids(client, LOAD.topics))

    def check_boards_user() -> list[Finding]:
        user, password = reader_of(settings)
        return [boards_user(connect(place_of_clickhouse(settings)[0], user, password, query_timeout_s=QUERY_S))]

    def check_superset() -> list[Finding]:
        if not are_reachable(settings):
            return [Finding("superset", None, "none is set and none runs here: there are no boards")]
        return superset(
            *part(settings, "Superset", settings.superset_url, settings.superset_user, settings.superset_password)
        )

    checks: dict[str, Check] = {
        "settings": lambda: here.settings(environment),
        "disk": lambda: here.disk(settings),
        "kafka": check_kafka,
        "clickhouse": check_clickhouse,
        "clickhouse rows": check_rows,
        "clickhouse boards user": check_boards_user,
        "superset": check_superset,
    }
    answers = ask_all(checks, WITHIN_S)
    findings: list[Finding] = []
    for name in checks:
        answer = answers.get(name, TimeoutError(f"no answer within {WITHIN_S:g} s"))
        findings += [failed(name, answer, "tokenmeter status")] if isinstance(answer, Exception) else answer
    return findings
