"""Where the figures of every bench are kept."""

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


def keep(bench: str, figures: Mapping[str, Any]) -> None:
    """Merge the figures of ``bench`` into OUT under its own key; those of other benches stay."""
    OUT.parent.mkdir(exist_ok=True)
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    machine = {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }
    kept[bench] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, **figures}
    OUT.write_text(json.dumps(kept, indent=2) + "\n")
