"""A reconcile --apply that is killed once COUNT of its corrections have reached Kafka.

``python -m support.reconcile_dying BOOTSTRAP CLICKHOUSE_URL COUNT``
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent
from tokenmeter.ops.reconcile import Sources, run
from tokenmeter.store.client import connect


class DyingEmitter(Emitter):
    """The SDK's emitter in a process that ends after ``left`` more events."""

    left = 0

    def emit(self, event: UsageEvent, on_delivery: Callable[[str | None], None] | None = None) -> None:
        super().emit(event, on_delivery)
        DyingEmitter.left -= 1
        if DyingEmitter.left == 0:
            self.flush()
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    bootstrap, url, count = sys.argv[1:]
    DyingEmitter.left = int(count)
    sources = Sources({"bootstrap.servers": bootstrap}, connect(url, "writer", "secret"), emitter=DyingEmitter)
    run(sources, apply=True, full=True)
