"""``tokenmeter status`` asks each part itself, and one that is down or frozen delays nobody."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from support.broker import eventually
from tokenmeter.cli import status as cli_status
from tokenmeter.cli.app import app
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.groups import GROUPS
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.watch.feeds import FEEDS
from tokenmeter.stack.kafka import free_port
from tokenmeter.stack.state import PARENT, Part, Stack, found
from tokenmeter.stack.status.ask import ask_all
from tokenmeter.stack.status.look import NO_ANSWER, Look, look
from tokenmeter.stack.status.shown import as_dict, is_well, sentences, table

FOR_EVER_S = 3_600.0
BOUND_S = 2.0


@contextmanager
def serving(body: object, status: int = 200) -> Iterator[str]:
    """A part that answers every GET so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name http.server calls
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def frozen() -> Iterator[int]:
    """The port of a process that the kernel accepts for and that never answers, as one under SIGSTOP."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def running(**parts: str) -> Stack:
    mine = {name: Part("running", os.getpid(), url) for name, url in parts.items()}
    return Stack({PARENT: Part("running", os.getpid()), **mine})


def test_one_that_never_answers_delays_nobody() -> None:
    def slow() -> str:
        time.sleep(FOR_EVER_S)
        return "late"

    def broken() -> str:
        raise OSError("no")

    answers = ask_all({"slow": slow, "quick": lambda: "here", "broken": broken}, 0.5)
    assert answers["quick"] == "here"
    assert isinstance(answers["broken"], OSError)
    assert "slow" not in answers


def test_each_part_tells_its_own_health_beside_those_that_do_not() -> None:
    well = {"ok": True, "lost_offsets": 3, "partitions": [{"lag": 5}, {"lag": 7}]}
    with serving(well) as meter, serving({"ok": False}, 503) as load, frozen() as port:
        stack = running(
            meter=meter,
            load=load,
            ledger=f"http://127.0.0.1:{port}",
            gateway=f"http://127.0.0.1:{free_port()}",
            kafka=f"127.0.0.1:{port}",
            clickhouse=f"http://127.0.0.1:{port}",
        )
        looks = look(stack)
        eventually("all are asked within the bound", lambda: _seconds(stack) <= BOUND_S, timeout_s=120)
    assert looks["meter"] == Look(True, "answers", {"lost_offsets": 3, "lag": 12})
    assert looks["load"].said == "is not well (HTTP 503)"
    for name in ("ledger", "kafka", "clickhouse"):
        assert looks[name] == Look(False, NO_ANSWER), name
    assert looks["gateway"] == Look(False, "does not listen")
    assert not is_well(stack, looks)
    shown = Console(file=StringIO(), width=200)
    shown.print(table(stack, looks))
    assert "does not listen" in shown.file.getvalue()  # type: ignore[attr-defined]
    assert as_dict(stack, looks)["meter"]["lag"] == 12
    assert ("meter has lost 3 offsets: retention removed them before they were read", True) in list(sentences(looks))


def test_a_worker_that_makes_no_progress_while_work_waits_is_not_well() -> None:
    stuck = {"ok": False, "waiting_seconds": 51.2, "partitions": [{"lag": 700}]}
    held = {"ok": True, "waiting_seconds": 51.2, "partitions": [{"lag": 7}], "blocked": ["usage.events/1: nothing ..."]}
    with serving(stuck, 503) as meter, serving(held) as load:
        looks = look(running(meter=meter, load=load))
    assert looks["meter"].said == "700 offsets wait, nothing was done for 51 s"
    assert looks["load"].ok is False and looks["load"].said == "held up by an open transaction"
    assert ("load waits: usage.events/1: nothing ...", True) in list(sentences(looks))


def test_a_gateway_that_refuses_everybody_is_not_well_and_says_why() -> None:
    with serving({"ok": False, "why": "which keys are valid cannot be read"}) as gateway:
        stack = running(gateway=gateway)
        looks = look(stack)
    assert looks["gateway"] == Look(False, "which keys are valid cannot be read")
    assert not is_well(stack, looks)


def test_what_strangers_wrote_is_said() -> None:
    looks = {
        "clickhouse": Look(True, "answers", {"foreign_records": 8}),
        "meter": Look(True, "answers", {"foreign_catalog_rows": 1}),
    }
    said = [line for line, bad in sentences(looks) if bad]
    assert "8 foreign records on our topics put aside (next: tokenmeter quarantine foreign)" in said
    assert any(line.startswith("1 records of catalog are no rows") for line in said)


def _seconds(stack: Stack) -> float:
    began = time.monotonic()
    look(stack)
    return time.monotonic() - began


def test_all_is_well_only_while_the_supervisor_runs() -> None:
    with (
        serving({"ok": True}) as url,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as held,
    ):
        stack = running(gateway=url)
        eventually("all is well", lambda: is_well(stack, look(stack)))
        stack.parts[PARENT].pid = held.pid
        os.kill(held.pid, 19)  # SIGSTOP
        eventually("a frozen supervisor is seen", lambda: look(stack)[PARENT].ok is False)
        held.kill()
    stack.parts[PARENT].state = "stopped"
    assert not is_well(stack, {})


def test_what_clickhouse_counts_is_said() -> None:
    minute = 60_000
    figures = {"quarantined": 2, "misrouted": 1, "open_alerts": 1, "last_page_ms": 10 * minute, "now_ms": 13 * minute}
    said = list(sentences({"clickhouse": Look(True, "answers", figures)}))
    assert said == [
        ("last page: 1970-01-01 00:10:00 UTC, 3 min ago", False),
        ("2 events in quarantine (next: tokenmeter quarantine list)", True),
        (
            "1 of them misrouted: a producer has another partitioner "
            "(next: tokenmeter quarantine retry --reason misrouted --apply)",
            True,
        ),
        ("1 open alerts (next: tokenmeter alerts --since 7d)", True),
    ]


def test_each_worker_knows_what_its_group_reads() -> None:
    assert set(GROUPS["load"].topics) == set(TABLES)
    assert set(GROUPS["watch"].topics) == set(FEEDS)


def test_a_running_demo_is_found_and_an_ended_one_is_not(tmp_path: Path) -> None:
    for name, state in (("demo-20261101-000000", "running"), ("demo-20261102-000000", "stopped")):
        (tmp_path / name).mkdir()
        Stack({PARENT: Part(state, os.getpid() if state == "running" else None)}).save(tmp_path / name)
    assert found(tmp_path) == tmp_path / "demo-20261101-000000"
    running().save(tmp_path)
    assert found(tmp_path) == tmp_path


@pytest.mark.parametrize("text", ['{"kafka": {"state": "runn', "[1, 2]", '{"kafka": 3}', '{"kafka": {}}', "\x00\x01"])
def test_a_torn_file_is_one_plain_line_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(Misconfigured, match=r"stack.json is damaged.*\(next: rm .*stack.json"):
        Stack.load(tmp_path)


def test_what_a_newer_version_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"kafka": {"state": "external", "colour": "blue"}}))
    assert Stack.load(tmp_path).parts == {"kafka": Part("external")}


def test_watching_looks_again_until_it_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Stack] = []

    def count(stack: Stack, access: object) -> dict[str, Look]:
        looked.append(stack)
        if len(looked) == 3:
            raise KeyboardInterrupt
        return {}

    running().save(tmp_path)
    monkeypatch.setattr(cli_status, "look", count)
    monkeypatch.setattr(cli_status, "WATCH_S", 0.0)
    done = CliRunner().invoke(app, ["status", "--watch", "--data", str(tmp_path)])
    assert len(looked) == 3
    assert "all is well" in done.output
