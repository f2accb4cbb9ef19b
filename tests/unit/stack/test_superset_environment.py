"""S01: Superset says "now" in its process's own time zone, and everything it compares that with is UTC."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokenmeter.stack.superset_venv import site_environment


def test_superset_runs_in_utc_wherever_it_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    asked = [sys.executable, "-c", "from datetime import datetime; print(datetime.fromtimestamp(0))"]

    def epoch(env: dict[str, str]) -> str:
        return subprocess.run(asked, env=env, capture_output=True, text=True, check=True).stdout.strip()

    assert epoch({**os.environ, **site_environment(tmp_path)}) == "1970-01-01 00:00:00"
    assert epoch(dict(os.environ)) == "1969-12-31 19:00:00", "the control: it would be New York's"
