"""A ClickHouse data directory that holds the simulated market up to today's midnight, made once a day into the user's
cache: a new demo begins with a copy of it and adds the hours since.

    python -m tokenmeter.stack.simulate.template [MONTHS]

makes it. Its name holds a hash of all it is made of: migrations, facts, this package and the engine's version.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.cached import locked, store_digest
from tokenmeter.stack.children import Child
from tokenmeter.stack.health import wait_healthy
from tokenmeter.stack.jars import cache_path
from tokenmeter.stack.kafka import free_port
from tokenmeter.stack.simulate.lines import Span
from tokenmeter.stack.simulate.market import MONTHS, market, span
from tokenmeter.stack.simulate.store import merge, put
from tokenmeter.stack.state import write_private
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import MIGRATE_TIMEOUT_S, migrate
from tokenmeter.store.users import sha256

SEED = 1
PREFIX = "market-"
ERROR_TAIL_CHARS = 800


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
    template = template_path(datetime.now(UTC), months)
    try:
        with locked(f"{PREFIX}template"):
            if not template.exists():
                say("making today's simulated market, once a day ...")
                _run_build(months)
            partial = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(template, partial, symlinks=True)
            partial.rename(folder)
    except OSError as error:
        raise Fatal(f"cannot begin {folder} with a simulated market: {error}", hint="demo --no-history") from error


def build(template: Path, until: datetime, months: int) -> None:
    """Make the template in a server of its own; those of other days go."""
    with tempfile.TemporaryDirectory(prefix="making-market-", dir=template.parent) as scratch:
        folder, password, port = Path(scratch), secrets.token_urlsafe(18), free_port()
        write_private(folder / "users.json", {"writer": {"password_sha256": sha256(password)}})
        command = [sys.executable, "-m", "tokenmeter.store.server", "--port", str(port)]
        command += ["--data", str(folder / "data"), "--users", str(folder / "users.json")]
        server = Child("clickhouse", command, folder / "clickhouse.log")
        server.start()
        try:
            url = f"http://127.0.0.1:{port}"
            wait_healthy(server, f"{url}/ping")
            client = connect(url, "writer", password, query_timeout_s=MIGRATE_TIMEOUT_S)
            migrate(client)
            put(client, market(Span(span(until, months).first, until), SEED))
            merge(client)
        finally:
            server.stop()
        for old in template.parent.glob(f"{PREFIX}*-*"):
            if old.is_dir() and not old.name.startswith(f"{PREFIX}{until:%Y%m%d}-"):
                shutil.rmtree(old, ignore_errors=True)
        (folder / "data").rename(template)


def _run_build(months: int) -> None:
    # A process of its own: its server must be the child of a main thread, and this may run beside one.
    command = [sys.executable, "-m", "tokenmeter.stack.simulate.template", str(months)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        cause = (done.stderr or done.stdout).strip()[-ERROR_TAIL_CHARS:]
        raise Fatal(f"cannot make the simulated market: {cause}", hint="tokenmeter demo --no-history")


def main() -> None:
    """Make today's template; whoever calls this holds the lock."""
    months = int(sys.argv[1]) if len(sys.argv) > 1 else MONTHS
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    build(template_path(now, months), midnight, months)


if __name__ == "__main__":
    main()
