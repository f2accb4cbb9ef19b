"""A quarantine retry that kills itself: ``python -m support.retry_main BOOTSTRAP CLICKHOUSE_URL WHERE [outside]``.

WHERE is events (they are in the log, the releases are not yet), releases (nothing is committed) or commit (all is).
``outside`` is the mutant, which commits the events before it writes their releases and asks nobody what is counted.
"""

from __future__ import annotations

import os
import signal
import sys

from support.next_version import rehearse
from tokenmeter.ops.quarantine.release import Release, Releaser
from tokenmeter.ops.quarantine.retry import Choice, counted_in, retry
from tokenmeter.store.client import connect


class Dying(Releaser):
    """Production's, with one point at which the process ends."""

    where: str
    outside: bool

    def release(self, releases: list[Release]) -> None:
        super().release(releases)
        self._die("commit")

    def send_events(self, releases: list[Release]) -> None:
        super().send_events(releases)
        if self.outside:
            self._producer.commit_transaction(30)
        self._producer.flush(30)
        self._die("events")
        if self.outside:
            self._producer.begin_transaction()

    def send_releases(self, releases: list[Release]) -> None:
        super().send_releases(releases)
        self._producer.flush(30)
        self._die("releases")

    def _die(self, where: str) -> None:
        if where == self.where:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    bootstrap, url, Dying.where, *mutant = sys.argv[1:]
    Dying.outside = bool(mutant)
    client = {"bootstrap.servers": bootstrap}
    with rehearse():
        counted = (lambda identities: {}) if mutant else counted_in(client, connect(url, "writer", "secret"))
        retry(client, Choice(everything=True), counted, Dying(client))


if __name__ == "__main__":
    main()
