"""``tokenmeter watch backtest --csv``: the alert of a leak at every sensitivity, and what is wrong with a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tokenmeter.cli.app import app
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.backtest.history import from_csv

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
MINUTES, BUCKET_MINUTES, LEAK = 2 * 1440, 30, 2 * 1440 - 600


def written(path: Path, form: str) -> Path:
    """Two customers for two days; ``acme`` leaks once. ``form``: how times are written."""
    chance = np.random.default_rng(2)
    rows = ["at,subject,value,paid"]
    for minute in range(0, MINUTES, BUCKET_MINUTES):
        at = BEGIN + timedelta(minutes=minute)
        text = str(int(at.timestamp())) if form == "seconds" else at.strftime(form)
        for name in ("acme", "beta"):
            calls = int(chance.poisson(100)) * (40 if name == "acme" and minute == LEAK else 1)
            rows.append(f"{text},{name},{calls},{calls * 0.02}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "seconds"])
def test_times_are_read_as_people_write_them(tmp_path: Path, form: str) -> None:
    series = from_csv(written(tmp_path / "h.csv", form), 1800)
    assert series.bucket[0] == int(BEGIN.timestamp()) // 1800
    assert len(series.bucket) == 2 * MINUTES // BUCKET_MINUTES
    assert set(series.subject) == {"acme", "beta"}


def test_a_leak_is_listed_with_the_sensitivities_that_tell_it(tmp_path: Path) -> None:
    path = written(tmp_path / "h.csv", "%Y-%m-%dT%H:%M:%SZ")
    command = ["watch", "backtest", "--csv", str(path), "--bucket", "1800"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    (row,) = [line for line in done.output.splitlines() if "acme" in line]
    at = BEGIN + timedelta(minutes=LEAK)
    assert f"{at:%Y-%m-%d %H:%M}Z" in row and "spike" in row
    listed = done.output.split("amount")[1]
    assert all(name in listed for name in ("low", "normal", "high", "close"))
    assert "beta" not in listed


@pytest.mark.parametrize(
    ("text", "wrong"), [("at,value\n1,2\n", "no column subject"), ("at,subject,value\nx,a,1\n", "h.csv"), ("", "h.csv")]
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(text)
    with pytest.raises(Misconfigured, match=wrong):
        from_csv(path, 60)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ([], "either --since or --csv"),
        (["--csv", "x", "--bucket", "7"], "whole number"),
        (["--csv", "x", "--sensitivity", "loud"], "none of"),
        (["--since", "1d", "--measure", "cost"], "neither"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str], wrong: str) -> None:
    with pytest.raises(Misconfigured, match=wrong):
        CliRunner().invoke(app, ["watch", "backtest", *options], catch_exceptions=False)
