"""The verb ``boards``: publishes them to Superset; others that change what boards say publish them too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from tokenmeter.boards import Database, Published, publish
from tokenmeter.cli.places import clickhouse, home, part
from tokenmeter.cli.settings import Settings, load
from tokenmeter.cli.terminal import console
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.state import Stack

EXAMPLE = "Example: tokenmeter boards"


def boards(
    data: Annotated[
        Path | None, typer.Option("--data", help="directory of the local stack (default .tokenmeter)")
    ] = None,
) -> None:
    """Publish the boards to Superset; twice changes nothing."""
    published = put(load(data=data), lambda line: console.print(line, highlight=False))
    for title, url in published.urls.items():
        console.print(f"{title}: {url}", highlight=False, soft_wrap=True)


def put(settings: Settings, say: Callable[[str], None] = lambda line: None) -> Published:
    """Publish to the Superset of the settings or of the stack that runs here."""
    superset = part(settings, "Superset", settings.superset_url, settings.superset_user, settings.superset_password)
    return publish(*superset, Database(clickhouse(settings)[0], *reader_of(settings)), say)


def reader_of(settings: Settings) -> tuple[str, str]:
    """(user, password) with whom the boards read ClickHouse."""
    reader, secret = settings.clickhouse_boards_user, settings.clickhouse_boards_password
    if secret is None:
        known = Stack.load(home(settings)).parts.get("clickhouse_boards")
        if known is None or known.password is None:
            raise Misconfigured(
                f"no password for ClickHouse's user {reader}, with which the boards read",
                hint="set TOKENMETER_CLICKHOUSE_BOARDS_PASSWORD",
            )
        secret = SecretStr(known.password)
    return reader, secret.get_secret_value()


def are_reachable(settings: Settings) -> bool:
    """Whether there is a Superset to publish to."""
    superset = Stack.load(home(settings)).parts.get("superset")
    return settings.superset_url is not None or (superset is not None and superset.state != "stopped")
