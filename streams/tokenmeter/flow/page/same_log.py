"""Holds a worker to the log it began with: another cluster, a topic made anew or one with more partitions is refused at
the start, and noticed while it runs. What the worker keeps on its disk, and its group's positions, are of that log.

A topic that ``tokenmeter topics grow`` has grown is the same log at the next start: usage.growth says so."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.growth import Growth, finished
from tokenmeter.kafka.identity import LogIdentity, changes

log = logging.getLogger(__name__)

IDENTITY_FILE = "log.json"
"""In the worker's folder."""
IDENTITY_LOOK_S = 10.0
"""How often a running worker looks."""

ReadIdentity = Callable[[], LogIdentity]


class SameLog:
    """``read`` asks Kafka for the topics that the worker reads, ``grown`` how usage.events has grown."""

    def __init__(self, folder: Path, read: ReadIdentity, grown: Callable[[], Sequence[Growth]] = tuple) -> None:
        self._path = folder / IDENTITY_FILE
        self._read = read
        self._grown = grown

    def require(self) -> None:
        """Remember the log at the first start. Raises Misconfigured when it is another than then, or grows."""
        grown = finished(self._grown())
        there = self._read()
        known = (self._known() or there).grown(grown)
        self._refuse(known, there)
        written = self._path.with_suffix(f".{os.getpid()}")
        merged = LogIdentity(there.cluster_id, {**known.topics, **there.topics})
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(merged.to_json())
        written.replace(self._path)

    def watch(self, die: Callable[[BaseException], None], look_s: float = IDENTITY_LOOK_S) -> None:
        """Look in a thread of its own, for as long as the process lives; ``die`` once the log is another. While Kafka
        is away there is nothing to see."""

        def look() -> None:
            while True:
                time.sleep(look_s)
                try:
                    self._refuse(self._known() or self._read(), self._read())
                except Misconfigured as error:
                    die(error)
                    return
                except (Fatal, OSError) as error:
                    log.warning("cannot look whether the log is the same: %s", error)

        threading.Thread(target=look, name="same-log", daemon=True).start()

    def _known(self) -> LogIdentity | None:
        try:
            return LogIdentity.from_json(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Misconfigured(
                f"{self._path} says of which log this folder is, and cannot be read", hint=f"rm {self._path}"
            ) from error

    def _refuse(self, known: LogIdentity, there: LogIdentity) -> None:
        if found := list(changes(known, there)):
            raise Misconfigured(
                f"another log than this worker's: {'; '.join(found)}; nothing more is read",
                hint=_way_on(known, there)
                or "bring the old topic back, or begin anew beside it, with a Kafka and a ClickHouse of their own "
                f"({self._path} knows the old one)",
            )


def _way_on(known: LogIdentity, there: LogIdentity) -> str | None:
    """For a topic that somebody grew by hand."""
    before, now = known.topics.get(EVENTS), there.topics.get(EVENTS)
    if before is None or now is None or before.topic_id != now.topic_id or now.partitions <= before.partitions:
        return None
    return f"stop every worker (tokenmeter down); tokenmeter topics grow {now.partitions}; tokenmeter up"
