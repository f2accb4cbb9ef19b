"""``python -m clients``: exit 1 when a client fails, or when too few of clickhouse-connect's own tests pass."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from clients import programs, suite
from support.clickhouse import Server


def main(
    only: Annotated[str, typer.Option(help="of node, jdbc, go and suite; separated by commas")] = "",
    checkout: Annotated[
        Path | None, typer.Option(help="of clickhouse-connect's repository, to run its own suite")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="that run the suite")] = 2,
) -> None:
    """Run real clients against the embedded server."""
    console, wanted, wrong = Console(highlight=False, soft_wrap=True), set(filter(None, only.split(","))), False
    with tempfile.TemporaryDirectory(prefix="tokenmeter-clients-") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            told = {"CLICKHOUSE_URL": server.url, "CLICKHOUSE_USER": "writer", "CLICKHOUSE_PASSWORD": "secret"}
            for name, program in programs.PROGRAMS.items():
                if not wanted or name in wanted:
                    result = programs.run(name, told)
                    wrong = wrong or result.startswith("failed")
                    console.print(f"{program.client}: {result}", markup=False)
            if not wanted or "suite" in wanted:
                wrong = _suite(console, server, checkout, processes) or wrong
        finally:
            server.child.kill()
    raise SystemExit(int(wrong))


def _suite(console: Console, server: Server, checkout: Path | None, processes: int) -> bool:
    """Whether it failed."""
    if checkout is None:
        console.print("clickhouse-connect's suite: skipped: --checkout says where its repository is")
        return False
    at = urlsplit(server.url)
    given = {"HOST": str(at.hostname), "PORT": str(at.port), "USER": "writer", "PASSWORD": "secret"}
    result = suite.run(checkout.resolve(), given, processes)
    for reason, tests in result.not_applicable.items():
        console.print(f"  not applicable, {tests} tests: {reason}", markup=False)
    for name in result.failed:
        console.print(f"  failed: {name}", markup=False)
    console.print(
        f"clickhouse-connect's suite: {result.passed} passed, {len(result.failed)} failed, "
        f"{sum(result.not_applicable.values())} not applicable, {result.skipped} skipped by itself: "
        f"{result.ratio:.1%} of what applies (wanted {suite.RATIO_MIN:.0%})"
    )
    return result.ratio < suite.RATIO_MIN


if __name__ == "__main__":
    typer.run(main)
