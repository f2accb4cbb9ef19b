"""Where figures are kept: build/bench.json, one key a bench, so that benches run one by one do not undo each other."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

OUT = Path("build/bench.json")


def keep(key: str, figures: Mapping[str, Any]) -> Path:
    """Put the figures of one bench in place of its last ones, with the time and the machine; returns the file."""
    OUT.parent.mkdir(exist_ok=True)
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    machine = {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }
    kept[key] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, **figures}
    OUT.write_text(json.dumps(kept, indent=2) + "\n")
    return OUT
