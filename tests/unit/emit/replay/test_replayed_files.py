"""Traces as they come: packed, cut off, with absurd figures, of a time nobody accepts. Each is said before it costs."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tokenmeter.cli.replay import reason_of
from tokenmeter.cli.utc import utc
from tokenmeter.emit.replay.traces import format_of, lines_of, read
from tokenmeter.events.errors import Misconfigured

START = datetime(2026, 11, 1, tzinfo=UTC)
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0,5,6\n"


def packed(folder: Path, text: str = AZURE) -> Path:
    path = folder / "calls.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_a_packed_trace_is_the_same_trace(tmp_path: Path) -> None:
    plain = tmp_path / "calls.csv"
    plain.write_text(AZURE)
    assert list(read(packed(tmp_path), START)) == list(read(plain, START)), "both together count once"
    assert lines_of(plain) == lines_of(packed(tmp_path)) == 2


def test_a_packed_trace_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path, AZURE + "2023-11-16 18:17:05.0,1,1\n" * 5_000)
    path.write_bytes(path.read_bytes()[:-40])
    for use in (lines_of, lambda one: list(read(one, START))):
        with pytest.raises(Misconfigured, match=r"calls.csv.gz to its end"):
            use(path)
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(Misconfigured, match=r"cannot read trace .*calls.csv.gz"):
        format_of(path)


@pytest.mark.parametrize("timestamp", ["1e99", "Infinity", "NaN", '"now"', "null", "[1]", "1" + "0" * 400])
def test_a_line_with_an_absurd_time_is_that_line_s_fault(tmp_path: Path, timestamp: str) -> None:
    good = {"timestamp": 5, "input_length": 6, "output_length": 7, "hash_ids": [1]}
    bad = json.dumps({**good, "timestamp": 0}).replace('"timestamp": 0', f'"timestamp": {timestamp}')
    path = tmp_path / "calls.jsonl"
    path.write_text(f"{json.dumps(good)}\n{bad}\n{json.dumps(good)}\n")
    left_out: list[Misconfigured] = []
    assert len(list(read(path, START, on_bad=left_out.append))) == 2
    assert len(left_out) == 1
    with pytest.raises(Misconfigured, match=r"line 2 cannot be read as mooncake"):
        list(read(path, START))


def test_what_the_meter_would_quarantine_for_its_time_is_known(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(AZURE)
    now = datetime(2026, 11, 26, tzinfo=UTC)
    judged = {days: reason_of(next(read(path, now + timedelta(days=days))), now) for days in (-40, -34, 0, 1)}
    assert judged == {-40: "late", -34: None, 0: None, 1: "early"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "TRACE", "--start", "2020-01-01"], ("quarantine what is older", "nothing was sent", "--anyway")),
        (["replay", "TRACE", "--start", "SOON+00:00"], ("would quarantine", "as early")),
        (["replay", "nowhere.csv"], ("cannot read trace nowhere.csv",)),
        (["demo", "--trace", "nowhere.csv"], ("cannot read trace nowhere.csv",)),
    ],
)
def test_it_is_said_before_anything_is_sent_or_started(
    tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(AZURE)
    soon = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M}"
    given = [one.replace("TRACE", str(path)).replace("SOON", soon) for one in arguments]
    command = [sys.executable, "-m", "tokenmeter.cli.app", *given]
    # Nobody listens there: whoever asked it would wait, and fail otherwise.
    env = {**os.environ, "TOKENMETER_KAFKA_BOOTSTRAP": "127.0.0.1:1", "TOKENMETER_DATA": str(tmp_path / "data")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, cwd=tmp_path)
    said = done.stderr.replace("\n", " ")
    assert done.returncode == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert not (tmp_path / "data").exists()


def test_an_offset_of_a_time_counts() -> None:
    seven = datetime(2026, 11, 20, 7, tzinfo=UTC)
    assert utc(datetime.fromisoformat("2026-11-20T08:00+01:00")) == seven
    assert utc(datetime.fromisoformat("2026-11-20T07:00")) == seven
