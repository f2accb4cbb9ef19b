"""A ClickHouse data directory that has every table and no row, made once into the user's cache: to make hundreds of
tables takes seconds of CPU, and a new stack begins with a copy.

    python -m tokenmeter.stack.empty_store

makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clickhouse_connect.driver.client import Client

from tokenmeter.stack.cached import build, copied, made_by, store_digest
from tokenmeter.stack.jars import cache_path
from tokenmeter.store.comments import explain, glossary
from tokenmeter.store.migrate import migrate

FAMILY = "empty-"


def begin(folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
    """Make ``folder`` a copy, unless it is there. Where that cannot be, it is said: the tables are made there then.

    Raises Fatal with the cause when there is nothing to copy and it cannot be made.
    """
    if folder.exists():
        return
    try:
        copied(_path(), folder, FAMILY, lambda: made_by(__name__, (), "an empty store", "tokenmeter doctor"))
    except OSError as error:
        say(f"an empty store cannot be copied, its tables are made here: {error}")


def _path() -> Path:
    return cache_path() / f"{FAMILY}{store_digest(repr(glossary()).encode())}"


def _fill(client: Client) -> None:
    migrate(client)
    explain(client)


if __name__ == "__main__":
    build(_path(), FAMILY, _path().name, _fill)
