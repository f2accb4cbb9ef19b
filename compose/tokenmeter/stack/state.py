"""What a local stack knows of itself (ports, passwords, pids): ``stack.json``, readable by its owner alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Part:
    """One line of ``tokenmeter status``; state is running, external or stopped.

    ``lost_offsets`` is asked of Kafka when the status is: what retention removed before a worker had read it.
    """

    state: str
    pid: int | None = None
    url: str | None = None
    user: str | None = None
    password: str | None = None
    log: str | None = None
    lost_offsets: int | None = None


def write_private(path: Path, document: Any) -> None:
    """Write JSON that only its owner can read, whole or not at all."""
    partial = path.with_suffix(".part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(document, out, indent=2)
    partial.replace(path)


@dataclass
class Stack:
    """The parts by name."""

    parts: dict[str, Part] = field(default_factory=dict)

    def save(self, data: Path) -> None:
        """Keep it in ``data``."""
        write_private(data / "stack.json", self.as_dict())

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """``tokenmeter status --json``."""
        return {name: asdict(part) for name, part in self.parts.items()}

    @classmethod
    def load(cls, data: Path) -> Stack:
        """The stack of ``data``, empty when there is none. A part whose process is gone is ``stopped``."""
        try:
            found = json.loads((data / "stack.json").read_text("utf-8"))
        except FileNotFoundError:
            return cls()
        stack = cls({name: Part(**part) for name, part in found.items()})
        for part in stack.parts.values():
            if part.pid is not None and not Path(f"/proc/{part.pid}").exists():
                part.state, part.pid = "stopped", None
        return stack
