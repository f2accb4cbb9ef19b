"""What another user of the machine can read below a folder, found out by trying as that user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65_534
_TRY = f"""
import json, os, sys
handles, found = {{}}, []
files = json.load(sys.stdin)
for folder in files:
    try:
        handles[folder] = os.open(folder, os.O_PATH)
    except FileNotFoundError:
        pass
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
for folder, handle in handles.items():
    for name in (".", *files[folder]):
        try:
            os.close(os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=handle))
            found.append(os.path.normpath(os.path.join(folder, name)))
        except OSError:
            pass
json.dump(found, sys.stdout)
"""


def can_try() -> bool:
    """Only a superuser becomes somebody else."""
    return os.geteuid() == 0


def readable(folder: Path) -> list[str]:
    """Folders that user NOBODY lists and files it opens. Each folder is tried by itself, as if all above it were open:
    what the folders above keep out is no excuse for a file."""
    files: dict[str, list[str]] = {}
    for at, _, names in os.walk(folder):
        files[at] = [name for name in names if not (Path(at) / name).is_symlink()]
    tried = subprocess.run(
        [sys.executable, "-I", "-c", _TRY], input=json.dumps(files), capture_output=True, text=True, timeout=60
    )
    assert tried.returncode == 0, tried.stderr
    found: list[str] = json.loads(tried.stdout)
    return sorted(found)
