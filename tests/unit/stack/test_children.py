"""Of a part that ended, the line is shown that says why."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from support.broker import eventually
from tokenmeter.stack.children import LOG_TAIL_BYTES, Child, stop_together

FULL = "java.io.IOException: No space left on device"
FRAMES = "".join(f"\tat org.apache.kafka.server.Some.method{n}(Some.java:{n})\n" for n in range(60))
JVM = "WARNING: Restricted methods will be blocked in a future release\n"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (f"started\n{FULL}\n{FRAMES}\tat org.apache.ka", FULL),  # cut off: there was no room for more
        (f"2026-11-27 ERROR it broke\n{JVM}\n", "2026-11-27 ERROR it broke"),
        ("one\ntwo\n", "two"),
        (JVM, JVM.strip()),
        ("", "(an empty log)"),
    ],
)
def test_the_last_line_that_says_something_is_shown(tmp_path: Path, log: str, said: str) -> None:
    (tmp_path / "log").write_text(log, "utf-8")
    child = Child("kafka", ["true"], tmp_path / "log")
    assert child.last_line() == said
    assert len(child.log_tail()) <= LOG_TAIL_BYTES


DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
NO_LISTENER_S = 2.0


def test_five_who_do_not_listen_are_given_no_more_time_than_one(tmp_path: Path) -> None:
    children = [Child(str(n), [sys.executable, "-c", DEAF], tmp_path / str(n)) for n in range(5)]
    for child in children:
        child.start()
    for child in children:
        eventually("it ignores SIGTERM", lambda child=child: child.log_tail() == "deaf")
    began = time.monotonic()
    stop_together(children, timeout_s=NO_LISTENER_S)
    assert time.monotonic() - began < 4 * NO_LISTENER_S  # one after the other would take five times it
    assert {child.returncode for child in children} == {-signal.SIGKILL}
