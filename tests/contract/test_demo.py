"""The whole path as a user runs it: real Kafka, the real ClickHouse engine, real workers, nothing left running."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.broker import eventually
from support.command import COMMAND, processes_of, run


def test_the_demo_proves_its_figures_and_leaves_nothing_running(tmp_path: Path) -> None:
    data = tmp_path / "stack"
    done = subprocess.run(
        [*COMMAND, "demo", "--once", "--calls", "3000", "--months", "1", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=900,
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
        (["up", "--detach", "--data", "/proc/nowhere"], {}, ("/proc/nowhere", "--data DIR")),
        (["up", "--data", "/proc/nowhere"], {}, ("/proc/nowhere", "--data DIR")),
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


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = run(["meter", "--port", str(port)], TOKENMETER_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert code == 1
    assert f"127.0.0.1:{port}" in said
    assert "choose another --port" in said


def test_a_full_disk_is_noticed_before_anything_starts(tmp_path: Path) -> None:
    code, said = run(["up", "--no-boards", "--data", str(tmp_path)], TOKENMETER_DISK_FREE_MIN_MB="999999999")
    assert code == 1
    assert "999999999 MB are needed" in said
    assert "--data DIR" in said
    assert not (tmp_path / "kafka").exists()


def test_missing_jars_name_the_jar_and_leave_no_broker(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    code, said = run(
        ["up", "--no-boards", "--data", str(tmp_path / "data")],
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        HTTPS_PROXY=nowhere,
        https_proxy=nowhere,
    )
    assert code == 1
    assert "cannot fetch Kafka's jar" in said
    assert "next: check the network" in said
    assert processes_of(tmp_path) == []


def test_a_part_that_does_not_answer_stops_what_had_started(tmp_path: Path) -> None:
    code, said = run(
        ["up", "--no-boards", "--data", str(tmp_path)],
        TOKENMETER_CLICKHOUSE_URL="http://127.0.0.1:1",
        TOKENMETER_CLICKHOUSE_PASSWORD="x",
    )
    assert code == 1
    assert "Apache Kafka ready" in said
    assert "TOKENMETER_CLICKHOUSE_URL" in said
    assert processes_of(tmp_path) == []


def urls(parts: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: part["url"] for name, part in parts.items()}


@pytest.mark.long
def test_killing_the_parent_leaves_no_orphan(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path)]
    assert run(["up", "--detach", "--no-boards", *where])[0] == 0
    parent = json.loads(run(["status", "--json", *where])[1])["tokenmeter"]["pid"]
    os.kill(parent, signal.SIGKILL)
    eventually("every child is gone", lambda: processes_of(tmp_path) == [])


@pytest.mark.long
def test_three_brokers_run_and_come_back_with_their_data_and_no_other_number_does(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path)]
    several = ["up", "--detach", "--no-boards", "--brokers", "3", "--meters", "2", *where]
    try:
        code, said = run(several)
        assert code == 0, said
        first = json.loads(run(["status", "--json", *where])[1])
        assert {"kafka-1", "kafka-2", "kafka-3", "meter", "meter-2", "load"} <= set(first)
        assert run(["down", *where])[0] == 0
        code, said = run(["up", "--no-boards", *where])
        assert code == 1
        assert "holds a Kafka of 3 broker(s), not 1" in said
        assert run(several)[0] == 0
        again = json.loads(run(["status", "--json", *where])[1])
        assert urls(again) == urls(first), "producers find it again"
        code, said = run(["topics", *where])
        assert (code, "nothing" in said) == (0, True)
    finally:
        run(["down", *where])
    assert processes_of(tmp_path) == []
