"""A program for each client, installed at a pinned version into the user's cache and run against a server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenmeter.stack.jars import cache_path

HERE = Path(__file__).parent
INSTALL_TIMEOUT_S, RUN_TIMEOUT_S = 900, 600


@dataclass(frozen=True)
class Program:
    """``tools`` have to be installed already; ``install`` and ``run`` are commands in the program's own folder."""

    client: str
    tools: tuple[str, ...]
    install: tuple[str, ...]
    run: tuple[str, ...]


PROGRAMS = {
    "node": Program(
        "@clickhouse/client 1.23.1", ("node", "npm"), ("npm", "install", "--no-audit"), ("node", "client.mjs")
    ),
    "jdbc": Program(
        "clickhouse-jdbc 0.10.0",
        ("java", "mvn"),
        ("mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib"),
        ("java", "-cp", "lib/*", "Client.java"),
    ),
    "go": Program("clickhouse-go 2.51.0", ("go",), ("go", "build", "-o", "client", "."), ("./client",)),
}


def run(name: str, environment: Mapping[str, str]) -> str:
    """What came of it: ``passed``, ``skipped: …`` or ``failed: …``."""
    program = PROGRAMS[name]
    missing = [tool for tool in program.tools if shutil.which(tool) is None]
    if missing:
        return f"skipped: {' and '.join(missing)} not installed"
    folder = cache_path() / "clients" / name
    shutil.copytree(HERE / name, folder, dirs_exist_ok=True)
    installed = _done(program.install, folder, INSTALL_TIMEOUT_S, {})
    if installed is not None:
        return f"failed to install: {installed}"
    failed = _done(program.run, folder, RUN_TIMEOUT_S, environment)
    return "passed" if failed is None else f"failed: {failed}"


def _done(command: tuple[str, ...], folder: Path, timeout_s: int, environment: Mapping[str, str]) -> str | None:
    """None when it went well, else the end of what it said."""
    try:
        ended = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return f"no end after {timeout_s} s"
    return None if ended.returncode == 0 else (ended.stdout + ended.stderr)[-2_000:]
