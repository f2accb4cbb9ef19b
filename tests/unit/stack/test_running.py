"""A stack that is asked to stop does, wherever the signal comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tokenmeter.stack import running

LOOKS_MAX = 50


class Finalized:
    """The signal comes while it goes: whatever is raised there is ignored."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1_000):
            pass  # a signal's handler runs between two steps of Python


class Watched:
    looks = 0

    def watch(self) -> None:
        self.looks += 1
        assert self.looks < LOOKS_MAX, "it was asked to stop, and goes on"
        if self.looks == 1:
            Finalized()


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(running, "WATCH_S", 0.001)
    before = signal.signal(signal.SIGTERM, running._interrupt)
    yield
    signal.signal(signal.SIGTERM, before)
    running._ASKED.clear()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_exception_is_lost_in_a_finalizer_ends_it_at_the_next_look() -> None:
    watched = Watched()
    running.until_interrupted(watched)  # type: ignore[arg-type]
    assert watched.looks == 1
