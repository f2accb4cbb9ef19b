"""clickhouse-connect's own suite, run from a checkout of its repository: none of it is kept here.

``not_applicable.txt`` says which of its tests ask for what an engine in one process has not, each with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

from tokenmeter.stack.jars import cache_path

REASONS = Path(__file__).parent / "not_applicable.txt"
RATIO_MIN = 0.97
SUITE_TIMEOUT_S = 3_600


@dataclass
class Result:
    """``not_applicable``: tests by reason, whether they failed or not."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    not_applicable: Counter[str] = field(default_factory=Counter)

    @property
    def ratio(self) -> float:
        applies = self.passed + len(self.failed)
        return self.passed / applies if applies else 0.0


def reasons() -> list[tuple[str, str]]:
    """(pattern of a test's name, why it does not apply)."""
    lines = REASONS.read_text("utf-8").splitlines()
    found = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return [(pattern, reason) for pattern, reason in found]


def judged(report: Path) -> Result:
    """What a report of pytest in JUnit's form says."""
    result, known = Result(), reasons()
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.integration_tests.')}.{case.get('name')}"
        reason = next((reason for pattern, reason in known if fnmatch(name, pattern)), None)
        kinds = {child.tag for child in case}
        if reason is not None:
            result.not_applicable[reason] += 1
        elif "skipped" in kinds:
            result.skipped += 1
        elif kinds & {"failure", "error"}:
            result.failed.append(name)
        else:
            result.passed += 1
    return result


def run(checkout: Path, server: Mapping[str, str], processes: int) -> Result:
    """Run it with the driver of that checkout, in an environment of its own in the user's cache."""
    folder = cache_path() / "clients" / "suite"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", checkout / "tests" / "test_requirements.txt", checkout], check=True)
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    # The driver is the installed one, which is compiled, and not the checkout's folder of that name.
    command = [python, "-P", "-m", "pytest", "tests/integration_tests", "-o", "addopts=", "-o", "log_cli=false", "-q"]
    command += [
        "-n",
        str(processes),
        "--tb=line",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        "--import-mode=append",
    ]
    environment = {f"CLICKHOUSE_CONNECT_TEST_{name}": value for name, value in server.items()}
    subprocess.run(command, cwd=checkout, env={**os.environ, **environment}, timeout=SUITE_TIMEOUT_S)
    return judged(report)
