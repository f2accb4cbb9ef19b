"""Runs the command as an install with some extras only would: whatever these do not bring cannot be imported."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from packaging.requirements import Requirement

_BLOCKING = """
import sys
class Blocking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
blocked = frozenset(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocking())
sys.argv = ["tokenmeter", *sys.argv[2:]]
from tokenmeter.cli.main import main
main()
"""


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def brought_by(extras: Collection[str]) -> set[str]:
    """The distributions that ``pip install tokenmeter[extras]`` installs."""
    found: set[str] = set()
    waiting = [("tokenmeter", frozenset(extras))]
    seen = set()
    while waiting:
        distribution, of = waiting.pop()
        if (distribution, of) in seen:
            continue
        seen.add((distribution, of))
        found.add(_name(distribution))
        try:
            wanted = requires(distribution) or []
        except PackageNotFoundError:
            continue
        for one in map(Requirement, wanted):
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (*of, "")):
                waiting.append((_name(one.name), frozenset(one.extras)))
    return found


def missing_modules(extras: Collection[str]) -> set[str]:
    """Importable names that such an install lacks."""
    there = brought_by(extras)
    return {name for name, of in packages_distributions().items() if not {_name(one) for one in of} & there}


def command(extras: Collection[str], *arguments: str) -> list[str]:
    """The command line that runs ``tokenmeter ARGUMENTS`` so."""
    return [sys.executable, "-c", _BLOCKING, ",".join(sorted(missing_modules(extras))), *arguments]


def run(extras: Collection[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command(extras, *arguments), capture_output=True, text=True, timeout=60)
