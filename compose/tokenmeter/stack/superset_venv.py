"""Superset's own Python environment and the template of its metadata database, made once into the user's cache.

Superset pins libraries that tokenmeter needs in other versions, so it never shares an environment with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from tokenmeter.events.errors import Fatal
from tokenmeter.stack.jars import cache_path

SUPERSET_VERSION = "6.1.0"
LOCK = f"superset-{SUPERSET_VERSION}.lock"
SITE = Path(__file__).parent / "superset_site"
TEMPLATE = "metadata-template.db"
STAMP = ".installed"
ERROR_TAIL_CHARS = 800
_RETRY = "mend the cause, then run `make setup` again"


def superset_path() -> Path:
    """Where this lock's environment is or will be: its name holds a hash of the lock and the Python it is made of."""
    parts = [(files(__package__) / LOCK).read_bytes(), sys.version.encode(), sys.base_prefix.encode()]
    return cache_path() / f"superset-{hashlib.sha256(b' '.join(parts)).hexdigest()[:16]}"


def is_ready(folder: Path) -> bool:
    """Whether the environment and the template are complete."""
    return (folder / STAMP).exists() and (folder / TEMPLATE).exists()


def ensure_superset(say: Callable[[str], None] = lambda line: None) -> Path:
    """A complete environment with ``bin/python`` and the template; quick when it is there.

    ``say(line)`` hears what is being done and how long it took. Half-made ones are made anew; two processes wait
    for each other. Raises Fatal naming the cause when packages cannot be installed or the database cannot be made.
    """
    folder = superset_path()
    if is_ready(folder):
        return folder
    try:
        with _locked(folder):
            if not (folder / STAMP).exists():
                _timed(say, f"installing Superset {SUPERSET_VERSION}", lambda: _install(folder))
            if not (folder / TEMPLATE).exists():
                _timed(say, "making Superset's metadata database", lambda: _make_template(folder))
    except OSError as error:
        raise Fatal(f"cannot make Superset's environment in {folder}: {error}", hint=_RETRY) from error
    return folder


def site_environment(data: Path) -> dict[str, str]:
    """Variables with which Superset's processes find our settings and ``data``."""
    return {
        # "now" in a range of time is Superset's local time, and what it is compared with is UTC.
        "TZ": "UTC",
        "SUPERSET_HOME": str(data),
        "SUPERSET_CONFIG": "superset.config",
        "SUPERSET_CONFIG_PATH": str(SITE / "superset_config.py"),
        "PYTHONPATH": str(SITE),
        "PYTHONWARNINGS": "ignore",
        "SCARF_ANALYTICS": "false",
    }


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _timed(say: Callable[[str], None], what: str, work: Callable[[], None]) -> None:
    say(f"{what} (about a minute, once)")
    began = time.monotonic()
    work()
    say(f"{what}: done in {time.monotonic() - began:.1f} s")


def _install(folder: Path) -> None:
    # Scripts in an environment hold its path, so it is built in place and stamped last instead of renamed.
    if folder.exists():
        shutil.rmtree(folder)
    _run([sys.executable, "-m", "venv", str(folder)], "make Superset's environment")
    lock = folder / LOCK
    lock.write_bytes((files(__package__) / LOCK).read_bytes())
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--no-compile", "-r", str(lock)], "install Superset's packages")
    (folder / STAMP).touch()


def _make_template(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [str(folder / "bin" / "python"), str(SITE / "superset_template.py")]
        _run(command, "make Superset's metadata database", site_environment(Path(scratch)))
        (Path(scratch) / "metadata.db").replace(folder / TEMPLATE)


def _run(command: Sequence[str], purpose: str, env: Mapping[str, str] | None = None) -> None:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env={**inherited, **(env or {})})
    if done.returncode:
        cause = (done.stderr or done.stdout).strip()[-ERROR_TAIL_CHARS:]
        raise Fatal(f"cannot {purpose}: {cause}", hint=_RETRY)
