"""The spool's storage: durable, in order, owned once, and plain about what is wrong."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.workers import TESTS
from tokenmeter.emit import spool as module
from tokenmeter.emit.spool import FILE, Spool, summary
from tokenmeter.emit.stamp import Row
from tokenmeter.events.errors import BufferFull, Misconfigured, SpoolUnusable

EVERYTHING = 1 << 40


def row(number: int, source: str = "s") -> Row:
    return Row("usage.events", source, f"cus_{number}".encode(), f"value-{number}".encode() * 20)


def held(spool: Spool, after: int = 0) -> list[Row]:
    return [one.row for one in spool.read(after, 10_000, EVERYTHING)]


def test_rows_come_back_in_order_in_bounds_and_after_reopening(tmp_path: Path) -> None:
    rows = [row(n) for n in range(30)]
    spool = Spool(tmp_path / "deep" / "spool")
    assert spool.append(rows[:10]) == range(1, 11)
    assert spool.append(rows[10:]) == range(11, 31)
    assert held(spool) == rows
    assert held(spool, after=25) == rows[25:]
    assert [one.id for one in spool.read(3, 2, EVERYTHING)] == [4, 5]
    assert [one.id for one in spool.read(3, 100, 1)] == [4], "a bound below one row still gives one"
    spool.remove(spool.read(4, 2, EVERYTHING))
    spool.close()
    again = Spool(tmp_path / "deep" / "spool")
    kept = rows[:4] + rows[6:]
    assert held(again) == kept
    assert (again.events, again.size_bytes) == (28, sum(one.size_bytes for one in kept))
    assert again.append([row(99)]) == range(31, 32), "new ones go behind"
    assert (again.holds(4), again.remaining(6)) == (True, 4)
    again.close()


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("before append", range(10)),
        ("inside append", range(10)),
        ("after append", range(20)),
        ("before remove", range(20)),
        ("after remove", range(5, 20)),
    ],
)
def test_a_process_killed_around_a_write_or_a_removal_leaves_whole_groups(
    tmp_path: Path, where: str, kept: range
) -> None:
    program = f"""
from pathlib import Path
from support.sdk_main import BreakingSpool, Point
from tokenmeter.emit.stamp import Row
BreakingSpool.point = Point({where!r}, 2 if "append" in {where!r} else 1)
rows = [Row("usage.events", "s", f"cus_{{n}}".encode(), f"value-{{n}}".encode() * 20) for n in range(20)]
spool = BreakingSpool(Path({str(tmp_path)!r}))
spool.append(rows[:10])
spool.append(rows[10:])
spool.remove(spool.read(0, 5, 1 << 40))
"""
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    spool = Spool(tmp_path)
    assert held(spool) == [row(n) for n in kept]
    spool.close()


def test_a_spool_has_one_owner_and_a_dead_owners_lock_is_free(tmp_path: Path) -> None:
    program = f"""
import os, time
from pathlib import Path
from tokenmeter.emit.spool import Spool
spool = Spool(Path({str(tmp_path)!r}))
if os.fork() == 0:  # a child that outlives the owner must not keep the lock
    time.sleep(60)
print("owned", flush=True)
time.sleep(60)
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owned\n"
        with pytest.raises(Misconfigured, match="another emitter or drain is using the spool"):
            Spool(tmp_path)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        first = Spool(tmp_path)
        with pytest.raises(Misconfigured, match="another emitter"):
            Spool(tmp_path)
        first.close()
        Spool(tmp_path).close()
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.stdout.close() if owner.stdout else None


def test_a_full_disk_refuses_and_keeps_what_was_there(tmp_path: Path) -> None:
    """SQLite's own bound on pages stands for the disk's end: it fails with the same code at the same place."""
    spool = Spool(tmp_path)
    spool.append([row(0)])
    pages = spool._appender.execute("PRAGMA page_count").fetchone()[0]
    spool._appender.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(BufferFull, match=r"disk of the spool .* is full; no event can be accepted"):
        spool.append([row(n) for n in range(1, 500)])
    assert held(spool) == [row(0)]
    spool._appender.execute("PRAGMA max_page_count=1000000")
    assert spool.append([row(1)]) == range(2, 3)
    assert held(spool) == [row(0), row(1)]
    assert spool.events == 2
    spool.close()


def test_changed_bytes_are_an_error_and_not_another_figure(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([row(n) for n in range(5)])
    spool.close()
    path = tmp_path / FILE
    content = path.read_bytes()
    at = content.index(b"value-2value-2")
    path.write_bytes(content[:at] + b"v" + b"A" + content[at + 2 :])
    again = Spool(tmp_path)
    with pytest.raises(SpoolUnusable, match="is damaged: event 3 of source s is not as it was written"):
        held(again)
    again.close()
    path.write_bytes(b"\xff" * len(content))
    with pytest.raises(SpoolUnusable, match="is damaged"):
        Spool(tmp_path)
    with pytest.raises(SpoolUnusable, match="is damaged"):
        summary(tmp_path)
    assert path.read_bytes() == b"\xff" * len(content), "it is left as it was"


def test_broken_structure_is_found_on_opening(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([row(n) for n in range(2_000)])
    spool.close()
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 3 * 4096 + 12] = b"\x0d\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00"
    path.write_bytes(content)
    with pytest.raises(SpoolUnusable, match="is damaged"):
        Spool(tmp_path)


def test_a_newer_spool_and_a_foreign_file_are_refused_unchanged(tmp_path: Path) -> None:
    Spool(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(f"PRAGMA user_version={module.VERSION + 1}")
    connection.close()
    for opened in (Spool, summary):
        with pytest.raises(Misconfigured, match=r"newer tokenmeter wrote the spool .*version 2, this one knows 1"):
            opened(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    connection = sqlite3.connect(other / FILE)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = (other / FILE).read_bytes()
    with pytest.raises(Misconfigured, match="not a spool of tokenmeter"):
        Spool(other)
    assert (other / FILE).read_bytes() == before


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot make the spool"):
        Spool(tmp_path / "file" / "spool")
    (tmp_path / FILE).mkdir()
    with pytest.raises(Misconfigured, match="cannot be written"):
        Spool(tmp_path)
    with pytest.raises(Misconfigured, match="is no spool"):
        summary(tmp_path / "nowhere")


def test_a_summary_counts_each_source_while_the_spool_is_owned(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([row(0, "a"), row(1, "b"), row(2, "a")])
    assert [(one.source, one.events, one.size_bytes) for one in summary(tmp_path)] == [
        ("a", 2, row(0).size_bytes + row(2).size_bytes),
        ("b", 1, row(1).size_bytes),
    ]
    spool.close()


def test_what_is_appended_is_fsynced_and_what_is_removed_need_not_be(tmp_path: Path) -> None:
    """No kill shows it, for the page cache outlives a process: SQLite is asked what it was told."""
    spool = Spool(tmp_path)
    asked = [link.execute("PRAGMA synchronous").fetchone()[0] for link in (spool._appender, spool._remover)]
    assert asked == [2, 1], "FULL (2) fsyncs at each commit, NORMAL (1) at checkpoints"
    assert spool._appender.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    spool.close()


def test_what_is_not_held_any_more_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush has ended once no row is held; whoever then counts must not find those that are just being forgotten."""
    spool, counted = Spool(tmp_path), list[int]()
    last = spool.append([row(number) for number in range(3)])[-1]
    committed, go_on, real = threading.Event(), threading.Event(), module._transaction

    @contextmanager
    def halting(connection: sqlite3.Connection) -> Iterator[None]:
        with real(connection):
            yield
        committed.set()
        go_on.wait(60)

    monkeypatch.setattr(module, "_transaction", halting)
    remover = threading.Thread(target=lambda: spool.remove(spool.read(0, 10, 1 << 20)))
    counter = threading.Thread(target=lambda: counted.append(spool.events))
    remover.start()
    assert committed.wait(60) and not spool.holds(last)
    counter.start()
    counter.join(0.2)
    go_on.set()
    remover.join()
    counter.join()
    assert counted == [0]
    spool.close()
