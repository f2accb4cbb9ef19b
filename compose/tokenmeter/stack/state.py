"""What a local stack knows of itself (ports, passwords, pids): ``stack.json``, readable by its owner alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.processes import is_same
from tokenmeter.stack.restarts import FAILED, RESTARTING

PARENT = "tokenmeter"
"""The part that is the supervisor: ``starting`` until everything answers, then ``running``."""
FILE = "stack.json"
NOT_RUNNING = ("gone", RESTARTING, FAILED)


@dataclass
class Part:
    """One line of ``tokenmeter status``; state is running, external or stopped; restarting or failed, which ``said``
    explains; or gone: it ended, and its supervisor has not seen it yet.

    ``restarts``: how often the supervisor has started it again. ``born``: see processes.born.
    """

    state: str
    pid: int | None = None
    url: str | None = None
    user: str | None = None
    password: str | None = None
    log: str | None = None
    restarts: int = 0
    said: str = ""
    born: str | None = None


def write_private(path: Path, document: Any) -> None:
    """Write JSON that only its owner can read, whole or not at all."""
    write_private_text(path, json.dumps(document, indent=2))


def write_private_text(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_suffix(".part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    partial.replace(path)


@dataclass
class Stack:
    """The parts by name."""

    parts: dict[str, Part] = field(default_factory=dict)

    def save(self, data: Path) -> None:
        """Keep it in ``data``."""
        write_private(data / FILE, self.as_dict())

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """``tokenmeter status --json``."""
        return {name: asdict(part) for name, part in self.parts.items()}

    @property
    def runs(self) -> bool:
        """Whether its supervisor lives."""
        parent = self.parts.get(PARENT)
        return parent is not None and parent.state not in ("stopped", "gone")

    @classmethod
    def load(cls, data: Path) -> Stack:
        """The stack of ``data``, empty when there is none. A part whose process is no more is ``gone``, and
        ``stopped`` when there is no supervisor either.

        Raises Misconfigured when the file cannot be read, or is torn.
        """
        path = data / FILE
        try:
            found = json.loads(path.read_text("utf-8"))
            known = {one.name for one in fields(Part)}
            stack = cls({name: Part(**{k: v for k, v in part.items() if k in known}) for name, part in found.items()})
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            raise Misconfigured(f"cannot read {path}: {error.strerror}", hint="--data DIR") from error
        except (ValueError, AttributeError, TypeError) as error:
            raise Misconfigured(
                f"{path} is damaged, so what runs there is not known", hint=f"rm {path}, then tokenmeter up"
            ) from error
        for part in stack.parts.values():
            if part.pid is not None and not is_same(part.pid, part.born):
                part.state, part.pid = "gone", None
        if not stack.runs:  # nobody starts anything again
            for part in stack.parts.values():
                part.state = "stopped" if part.state in NOT_RUNNING else part.state
        return stack


def found(data: Path) -> Path:
    """``data``, or, when no stack runs there, the directory of the newest demo that runs below it."""
    if not Stack.load(data).runs:
        for demo in sorted(data.glob("demo-*/"), reverse=True):
            if Stack.load(demo).runs:
                return demo
    return data
