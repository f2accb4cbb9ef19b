"""What is looked at on this machine: settings, the directory of the stack and its disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from difflib import get_close_matches

from tokenmeter.cli.settings import Settings
from tokenmeter.stack.doctor.finding import Finding

PREFIX = "TOKENMETER_"
OF_THE_SDK = frozenset(("TOKENMETER_SPOOL", "TOKENMETER_CREDIT", "TOKENMETER_CREDIT_FAIL", "TOKENMETER_ASKED_HOSTS"))
"""Variables that LiteLLM's proxy reads, and no verb."""


def settings(environment: Mapping[str, str]) -> list[Finding]:
    """Variables that begin with our prefix and are none of ours: most likely a slip, and without effect."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OF_THE_SDK
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    if not unknown:
        return [Finding("settings", True, "every TOKENMETER_ variable is a setting")]
    findings = []
    for name in unknown:
        near = get_close_matches(name, known, 1)
        mend = f"unset {name}" + (f"; did you mean {near[0]}?" if near else "; see compose/SETTINGS.md")
        findings.append(Finding("settings", False, f"{name} is no setting, and has no effect", mend))
    return findings


def disk(of: Settings) -> list[Finding]:
    """Whether the stack's directory can be written and has room."""
    path = of.data.absolute()
    there = next(one for one in (path, *path.parents) if one.exists())
    if not os.access(there, os.W_OK):
        return [Finding("disk", False, f"{there} cannot be written", "another directory with --data DIR")]
    free_mb = shutil.disk_usage(there).free >> 20
    said = f"{there} has {free_mb:,} MB free; {of.disk_free_min_mb:,} are needed"
    ok = free_mb >= of.disk_free_min_mb
    return [Finding("disk", ok, said, None if ok else "free space, or another disk with --data DIR")]
