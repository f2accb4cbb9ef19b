"""A number that was written down never names another process: ``down`` ends what was started and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tokenmeter.cli.app import app
from tokenmeter.stack.processes import born, is_same, terminate
from tokenmeter.stack.state import PARENT, Part, Stack

FOREVER = "import signal; signal.pause()"
SOMEBODY_ELSE = "somebody-elses-boot/1"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", FOREVER]) as made:
        yield made
        made.kill()


def down(data: Path, part: Part) -> str:
    Stack({PARENT: part, "meter": Part("running", part.pid, born=part.born)}).save(data)
    done = CliRunner().invoke(app, ["down", "--data", str(data)])
    assert done.exit_code == 0, done.output
    return done.output


def test_down_leaves_a_stranger_alone_that_has_the_number(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    assert "no stack is running" in down(tmp_path, Part("running", process.pid, born=SOMEBODY_ELSE))
    assert process.poll() is None
    parts = Stack.load(tmp_path).parts
    assert (parts["meter"].state, parts["meter"].pid) == ("stopped", None)


def test_down_leaves_a_stranger_alone_although_an_older_version_wrote_no_birth(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    assert "no stack is running" in down(tmp_path, Part("running", process.pid))
    assert process.poll() is None


def test_down_ends_the_process_that_was_started(tmp_path: Path) -> None:
    made = f"p = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])"
    code = f"import subprocess, sys; {made}; print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert "stopped" in down(tmp_path, Part("running", pid, born=born(pid)))
        assert parent.wait(60) == 0


def test_a_process_is_known_by_its_birth(process: subprocess.Popen[bytes]) -> None:
    known = born(process.pid)
    assert known is not None and is_same(process.pid, known) and not is_same(process.pid, SOMEBODY_ELSE)
    process.kill()
    process.wait()
    assert born(process.pid) is None and not is_same(process.pid, None)
    assert not terminate(process.pid, known, "")
