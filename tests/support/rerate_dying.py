"""A rerate --apply that is killed once COUNT of its corrections were produced, page by page.

``python -m support.rerate_dying BOOTSTRAP CLICKHOUSE_URL COUNT``
"""

from __future__ import annotations

import os
import signal
import sys

from tokenmeter.events import UsageEvent
from tokenmeter.ops.rerate import Options, rerate
from tokenmeter.ops.rerate import run as running
from tokenmeter.ops.rerate.booking import Booking
from tokenmeter.store.client import connect


class DyingBooking(Booking):
    """A booking in a process that ends after ``left`` more events, in the middle of a transaction."""

    left = 0

    def send(self, event: UsageEvent) -> None:
        super().send(event)
        DyingBooking.left -= 1
        if DyingBooking.left == 0:
            self._producer.flush()
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    bootstrap, url, count = sys.argv[1:]
    DyingBooking.left = int(count)
    running.PAGES_AT_ONCE = 1
    clickhouse = connect(url, "writer", "secret")
    rerate(Options({"bootstrap.servers": bootstrap}, clickhouse, apply=True, booking=DyingBooking))
