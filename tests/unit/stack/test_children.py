"""Of a part that ended, the line is shown that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenmeter.stack.children import LOG_TAIL_BYTES, Child

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
