"""The whole path as a user runs it: real Kafka, the real ClickHouse engine, real workers, nothing left running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "tokenmeter.stack.cli"]


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def test_the_demo_proves_its_figures_and_leaves_nothing_running(tmp_path: Path) -> None:
    data = tmp_path / "stack"
    done = subprocess.run(
        [*COMMAND, "demo", "--once", "--calls", "3000", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERENT" not in done.stdout
    assert "3,000" in done.stdout
    assert processes_of(data) == []
    assert (data / "stack.json").stat().st_mode & 0o777 == 0o600


def test_errors_are_one_message_that_names_the_thing_and_the_next_command(tmp_path: Path) -> None:
    for arguments, setting, words in [
        (["topics", "--data", str(tmp_path)], {}, ("no Kafka", "tokenmeter up")),
        (["migrate", "--data", str(tmp_path)], {"TOKENMETER_CLICKHOUSE_URL": "ftp://x"}, ("ftp://x", "CLICKHOUSE_URL")),
        (["status"], {"TOKENMETER_PAGE_SECONDS": "never"}, ("TOKENMETER_PAGE_SECONDS", "next:")),
        (
            ["replay", str(tmp_path / "none.csv"), "--speed", "fast"],
            {"TOKENMETER_KAFKA_BOOTSTRAP": "x:1"},
            ("--speed",),
        ),
    ]:
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **setting}
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in done.stderr.replace("\n", " ")
