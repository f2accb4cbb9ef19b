"""A ClickHouse data directory that holds the simulated market up to today's midnight, made once a day into the user's
cache: a new demo begins with a copy of it and adds the hours since.

    python -m tokenmeter.stack.simulate.template [MONTHS]

makes it. Its name holds a hash of all it is made of: migrations, facts, this package and the engine's version.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from clickhouse_connect.driver.client import Client

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.cached import build, copied, made_by, store_digest
from tokenmeter.stack.jars import cache_path
from tokenmeter.stack.simulate.lines import Span
from tokenmeter.stack.simulate.market import MONTHS, market, span
from tokenmeter.stack.simulate.store import merge, put
from tokenmeter.store.migrate import migrate

SEED = 1
PREFIX = "market-"


def template_path(now: datetime, months: int = MONTHS) -> Path:
    """Where the template of ``now``'s UTC day is or will be."""
    package = files(__package__)
    made_of = sorted([*package.iterdir(), *(package / "facts").iterdir()], key=str)
    own = [file.read_bytes() for file in made_of if file.is_file() and file.name.endswith((".py", ".csv"))]
    digest = store_digest(f"{months} {SEED}".encode(), *own)
    return cache_path() / f"{PREFIX}{now.astimezone(UTC):%Y%m%d}-{digest}"


def begin(folder: Path, say: Callable[[str], None] = lambda line: None, months: int = MONTHS) -> None:
    """Make ``folder`` a copy of today's template, which is made if need be; leave a folder that is there alone.

    Raises Fatal with the cause when the template cannot be made.
    """
    if folder.exists():
        return

    def make() -> None:
        say("making today's simulated market, once a day ...")
        made_by(__name__, [str(months)], "the simulated market", "tokenmeter demo --no-history")

    try:
        copied(template_path(datetime.now(UTC), months), folder, PREFIX, make)
    except OSError as error:
        raise Fatal(f"cannot begin {folder} with a simulated market: {error}", hint="demo --no-history") from error


def main() -> None:
    """Make today's template; whoever calls this holds the lock."""
    months = int(sys.argv[1]) if len(sys.argv) > 1 else MONTHS
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)

    def fill(client: Client) -> None:
        migrate(client)
        put(client, market(Span(span(midnight, months).first, midnight), SEED))
        merge(client)

    build(template_path(now, months), PREFIX, f"{PREFIX}{now:%Y%m%d}-", fill)


if __name__ == "__main__":
    main()
