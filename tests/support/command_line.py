"""Whether the command would take a line, without running it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import typer.main

from tokenmeter.cli.app import app


def fault_of_line(line: str) -> str | None:
    """Of ``tokenmeter VERB ...`` as a reader types it."""
    return fault_of(shlex.split(line, comments=True)[1:])


def fault_of(words: Sequence[str]) -> str | None:
    """Why these arguments would not be taken: a verb or an option that is none. None: they would."""
    command: Any = typer.main.get_command(app)
    left = list(words)
    while hasattr(command, "commands"):
        if not left or left[0].startswith("-"):
            return _unknown(command, left) if getattr(command, "invoke_without_command", False) or left else None
        if left[0] not in command.commands:
            return f"no verb {left[0]}"
        command = command.commands[left.pop(0)]
    return _unknown(command, left)


def _unknown(command: Any, words: Sequence[str]) -> str | None:
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    return next((f"no option {w}" for w in words if w.startswith("--") and w.partition("=")[0] not in known), None)
