"""Asks several others at once and takes what has come by the deadline: one that is frozen delays nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def ask_all(questions: Mapping[str, Callable[[], T]], within_s: float) -> dict[str, T | Exception]:
    """By name, what each returned or raised; who has said nothing within ``within_s`` is left out.

    A question that is still being asked then goes on in a daemon thread that nobody waits for.
    """
    answers: dict[str, T | Exception] = {}
    lock = threading.Lock()

    def ask(name: str, question: Callable[[], T]) -> None:
        try:
            said: T | Exception = question()
        except Exception as error:  # of whatever kind: it is the answer
            said = error
        with lock:
            answers[name] = said

    deadline = time.monotonic() + within_s
    threads = [threading.Thread(target=ask, args=one, daemon=True, name=one[0]) for one in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    with lock:
        return dict(answers)
