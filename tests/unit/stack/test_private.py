"""What a stack keeps is closed to every other Unix user, also what an earlier version left open."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support import stranger
from tokenmeter.cli.terminal import make_console
from tokenmeter.emit.spool import FILE as SPOOL
from tokenmeter.emit.spool import Spool
from tokenmeter.stack import running
from tokenmeter.stack.private import OTHERS, make_private
from tokenmeter.stack.state import Part

NOBODY = "65534"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody can reach, unlike pytest's own."""
    folder, mask = Path(tempfile.mkdtemp(dir="/tmp")), os.umask(0o022)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        os.umask(mask)
        shutil.rmtree(folder)


def left_open(data: Path) -> Path:
    """As an earlier version made it; a file of usage."""
    usage = data / "kafka" / "log" / "usage.events-0" / "00000000.log"
    usage.parent.mkdir(parents=True)
    usage.write_text("usage", "utf-8")
    (data / "stack.json").write_text("{}", "utf-8")
    return usage


def is_read_by_nobody(path: Path) -> bool:
    asked = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", str(path)]
    return subprocess.run(asked, capture_output=True).returncode == 0


def open_paths(folder: Path) -> list[Path]:
    return [one for one in (folder, *folder.rglob("*")) if stat.S_IMODE(one.lstat().st_mode) & OTHERS]


def test_nothing_below_is_open_to_others_whatever_was_there(place: Path) -> None:
    data = place / "data"
    left_open(data)
    assert len(open_paths(data)) == 6, "the mutant without it"
    make_private(data)
    (data / "logs").mkdir()
    (data / "logs" / "meter.log").write_text("made since", "utf-8")
    assert open_paths(data) == []


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can be somebody else")
def test_another_user_reads_nothing(place: Path) -> None:
    usage = left_open(place / "data")
    assert is_read_by_nobody(usage), "the mutant without it"
    make_private(place / "data")
    assert not is_read_by_nobody(usage)
    (place / "data").chmod(0o755)
    assert not is_read_by_nobody(usage), "and not by the directory's mode alone"


def test_a_directory_with_other_things_keeps_them_as_they_are(place: Path) -> None:
    (place / "shared.txt").write_text("theirs", "utf-8")
    make_private(place)
    assert stat.S_IMODE((place / "shared.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE(place.stat().st_mode) == 0o755


def test_a_spool_is_closed_too(place: Path) -> None:
    spool = Spool(place / "spool")
    try:
        assert stat.S_IMODE((place / "spool").stat().st_mode) == 0o700
        assert stat.S_IMODE((place / "spool" / SPOOL).stat().st_mode) == 0o600
    finally:
        spool.close()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_board_s_login_is_said_to_a_terminal_and_never_into_a_log(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = StringIO()
    monkeypatch.setattr(running, "console", make_console(file=said, force_terminal=terminal, width=200))
    board = Part("published", None, "http://127.0.0.1:8088", "admin", "canary")
    stack: Any = SimpleNamespace(board=board, data=tmp_path)
    running.show_board(stack)
    assert ("canary" in said.getvalue()) is terminal
    assert str(tmp_path / "stack.json") in said.getvalue(), "where it is, in any case"


@pytest.mark.skipif(not stranger.can_try(), reason="only a superuser becomes somebody else")
def test_what_a_stranger_reads_is_found_folder_by_folder(place: Path) -> None:
    data = place / "data"
    usage = left_open(data)
    for one in (data, data / "kafka"):  # whoever guards the door leaves what is behind it open
        one.chmod(0o700)
    (data / "stack.json").chmod(0o600)
    assert stranger.readable(data) == [str(usage.parents[1]), str(usage.parent), str(usage)]
    (data / "kafka").chmod(0o755)  # what tells an earlier version's
    make_private(data)
    assert stranger.readable(data) == []
