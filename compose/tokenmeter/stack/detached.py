"""``tokenmeter up --detach``: a stack in a session of its own, and the wait until it runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from tokenmeter.cli.settings import Settings
from tokenmeter.events.errors import Fatal
from tokenmeter.stack.private import make_private
from tokenmeter.stack.state import PARENT, Stack

START_TIMEOUT_S = 300.0
"""The first start may have to install Superset."""
TAIL_CHARS = 800
ATTENDED = "running; Ctrl-C"
"""How the line begins that is for who sits before a stack that is not detached."""


def start(settings: Settings, say: Callable[[str], None]) -> None:
    """Start it and return once every part answers. Raises Fatal with the end of its log when it ends instead."""
    log = settings.data.absolute() / "logs" / "up.log"
    make_private(settings.data.absolute())
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tokenmeter.cli.app", "up", "--data", str(settings.data.absolute())]
    command += [] if settings.boards else ["--no-boards"]
    for name in ("brokers", "meters", "loaders", "ledgers", "watches"):
        command += [f"--{name}", str(getattr(settings, name))]
    command += [] if settings.port_base is None else ["--port-base", str(settings.port_base)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline, said = time.monotonic() + START_TIMEOUT_S, 0
    while time.monotonic() < deadline:
        lines = log.read_text("utf-8", "replace").splitlines(keepends=True)
        for line in [one for one in lines[said:] if one.endswith("\n")]:
            said += 1
            if not line.startswith(ATTENDED):
                say(line.rstrip())
        if process.poll() is not None:
            tail = log.read_text("utf-8", "replace").strip()[-TAIL_CHARS:]
            raise Fatal(f"the stack ended while starting: {tail}", hint=f"see {log}")
        parent = Stack.load(settings.data).parts.get(PARENT)
        if parent is not None and parent.pid == process.pid and parent.state == "running":
            say(f"running as process {process.pid}; stop it with: tokenmeter down --data {settings.data}")
            return
        time.sleep(0.2)
    process.terminate()
    raise Fatal(f"the stack did not start within {START_TIMEOUT_S:.0f} s", hint=f"see {log}")
