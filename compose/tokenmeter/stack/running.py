"""A local stack that runs for as long as a block, or until Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tokenmeter.cli.settings import Settings
from tokenmeter.cli.terminal import console, say
from tokenmeter.stack.local import LocalStack
from tokenmeter.stack.private import where_passwords_are

WATCH_S = 1.0


_ASKED = threading.Event()
"""To stop. An exception alone would be lost where the signal comes within a finalizer."""


def _interrupt(number: int, frame: object) -> None:
    _ASKED.set()
    raise KeyboardInterrupt


@contextmanager
def running(settings: Settings, **more: Any) -> Iterator[LocalStack]:
    """A running stack; whatever ends the block, SIGTERM included, stops it. ``more``: see LocalStack."""
    stack = LocalStack(settings, say, **more)
    _ASKED.clear()
    signal.signal(signal.SIGTERM, _interrupt)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def until_interrupted(stack: LocalStack) -> None:
    """Watch over it until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while not _ASKED.is_set():
            stack.watch()
            time.sleep(WATCH_S)
    say("stopping")


def show_board(stack: LocalStack) -> None:
    """Say where the board is and how to log in."""
    if (board := stack.board) is not None:
        console.print(f"board: {board.url}", highlight=False, soft_wrap=True)
        if console.is_terminal:  # else it would stay in a log
            console.print(f"login: {board.user} / {board.password}", highlight=False, soft_wrap=True)
    console.print(where_passwords_are(stack.data), highlight=False, soft_wrap=True)
