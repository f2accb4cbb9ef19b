"""Rebuilds ClickHouse from Kafka: position to the start, drop, migrate, replay.

The position is reset first. Whatever kills a rebuild afterwards, the next loader reads everything again, and a page
that is inserted twice is there once; had the tables gone first, a loader could go on behind the hole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clickhouse_connect.driver.client import Client
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.groups import LOAD
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.page.foreign import TABLE as FOREIGN
from tokenmeter.kafka.identity import topic_ids
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.losses import lost_offsets, written
from tokenmeter.kafka.positions import positions
from tokenmeter.store.comments import explain
from tokenmeter.store.derived import Name, digests, drop_derived, raw_rows_below
from tokenmeter.store.migrate import migrate
from tokenmeter.store.topics import loaded_topics, made_anew
from tokenmeter.store.totals import Totals

KAFKA_TIMEOUT_S = 30.0
STALL_S = 120.0
"""A replay that brings nothing for this long has failed."""
POLL_S = 0.5
SESSION_EXPIRY_S = 15.0
"""A loader that was stopped or killed counts as alive until its session has expired."""

LOADED = frozenset(table for _, table in TABLES.values())
LOADED_TOPICS = "loaded_topics"
"""The table that says which topics those are from."""

Key = tuple[str, int]
"""(topic, partition)"""


class Loader(Protocol):
    """A running loader, whoever started it."""

    def is_alive(self) -> bool: ...
    def log_tail(self) -> str: ...
    def stop(self) -> None: ...


@dataclass(frozen=True)
class Gone:
    """Offsets before ``log_start`` that Kafka no longer has; ``raw_rows`` stored events would go with them."""

    topic: str
    partition: int
    log_start: int
    raw_rows: int

    def __str__(self) -> str:
        rows = f"; {self.raw_rows} raw rows in ClickHouse are from there" if self.topic == EVENTS else ""
        return f"{self.topic}/{self.partition} begins at offset {self.log_start}{rows}"


@dataclass(frozen=True)
class MadeAnew:
    """A topic that was deleted and made again: what ClickHouse was loaded from is gone with the old one."""

    topic: str

    def __str__(self) -> str:
        return f"{self.topic} was deleted and made anew: ClickHouse was loaded from the old one"


@dataclass(frozen=True)
class Rebuilt:
    """By table (rows, digest) before and after."""

    before: Mapping[Name, tuple[int, int]]
    after: Mapping[Name, tuple[int, int]]

    @property
    def equal(self) -> bool:
        return self.before == self.after


class Rebuild:
    """``start_loader`` starts a loader of the group, which is stopped when it has read everything."""

    def __init__(self, client: Mapping[str, Any], clickhouse: Client, start_loader: Callable[[], Loader]) -> None:
        self._client = dict(client)
        self._clickhouse = clickhouse
        self._start_loader = start_loader
        self._log = KafkaLogReader(client)

    def require_no_loader(self, wait_s: float = 0.0) -> None:
        """Raises Misconfigured naming the loaders that are still alive after ``wait_s``."""
        deadline = time.monotonic() + wait_s
        while members := self._loaders():
            if time.monotonic() >= deadline:
                raise Misconfigured(
                    f"a loader is alive ({', '.join(members)}): it would go on behind what is dropped",
                    hint="stop every loader and run the rebuild again",
                )
            time.sleep(POLL_S)

    def _loaders(self) -> list[str]:
        admin = AdminClient({**self._client, "log_level": 2})
        try:
            group = admin.describe_consumer_groups([LOAD.id])[LOAD.id].result(KAFKA_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise Fatal(f"cannot describe {LOAD.id}: {error.args[0].str()}", hint="tokenmeter status") from error
        return [member.group_instance_id or member.member_id for member in group.members]

    def starts(self) -> dict[Key, int]:
        """The first offset that each partition still has."""
        return {
            (topic, p): self._log.start(topic, p) for topic in LOAD.topics for p in range(self._log.partitions(topic))
        }

    def gone(self) -> list[Gone | MadeAnew]:
        """What retention, or the deletion of a topic, has removed and a replay cannot bring back."""
        others = made_anew(loaded_topics(self._clickhouse), topic_ids(self._client, LOAD.topics))
        return [MadeAnew(topic) for topic in others] + [
            Gone(topic, p, start, raw_rows_below(self._clickhouse, p, start) if topic == EVENTS else 0)
            for (topic, p), start in self.starts().items()
            if start > 0
        ]

    def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Rebuilt:
        """Do it. Afterwards each table says what it said before, but for what is ``gone`` and what had not been loaded.

        Raises Misconfigured while a loader is alive, Fatal when the replay stands still; running it again is safe.
        """
        self.require_no_loader()
        before = digests(self._clickhouse, LOADED)
        starts = self.starts()
        self._reset(starts)
        self.recreate()
        loader = self._start_loader()
        try:
            self._wait(loader, starts, progress)
            self._wait_for_totals(loader)
        finally:
            loader.stop()
        return Rebuilt(before, digests(self._clickhouse, LOADED))

    def recreate(self) -> None:
        """Drop every view and every table that is loaded from a topic, and migrate from nothing.

        Totals stay: those of what is loaded again are made anew, those whose lines are no more are all that is left.
        """
        drop_derived(self._clickhouse, LOADED | {LOADED_TOPICS, FOREIGN})
        migrate(self._clickhouse)
        explain(self._clickhouse)

    def _reset(self, starts: Mapping[Key, int]) -> None:
        """To the start of every topic. What retention had removed before it was read stays counted."""
        lost = lost_offsets(self._client, LOAD.id, LOAD.topics)
        positions = [TopicPartition(t, p, start, written(lost.get((t, p), 0))) for (t, p), start in starts.items()]
        admin = AdminClient({**self._client, "log_level": 2})
        try:
            wanted = [ConsumerGroupTopicPartitions(LOAD.id, positions)]
            admin.alter_consumer_group_offsets(wanted)[LOAD.id].result(KAFKA_TIMEOUT_S)
        except KafkaException as error:
            raise Fatal(
                f"cannot reset the position of {LOAD.id}: {error.args[0].str()}; nothing was dropped",
                hint="stop every loader and run the rebuild again",
            ) from error

    def _wait(self, loader: Loader, starts: Mapping[Key, int], progress: Callable[[int, int], None]) -> None:
        """Until the loader has committed what each topic held at the beginning."""
        ends = {key: last[0] + 1 for key in starts if (last := self._log.last(*key)) is not None}
        total = sum(end - starts[key] for key, end in ends.items())
        done, moved_at = -1, time.monotonic()
        while done < total:
            at = {key: min(at, ends[key]) for key, at in positions(self._client, LOAD.id, ends).items()}
            now_done = sum(max(0, at[key] - starts[key]) for key in ends)
            if now_done > done:
                done, moved_at = now_done, time.monotonic()
                progress(done, total)
            if not loader.is_alive() or time.monotonic() - moved_at > STALL_S:
                raise Fatal(
                    f"the replay ended at {done} of {total} offsets; the loader's log ends with: {loader.log_tail()}",
                    hint="tokenmeter rebuild --yes",
                )
            if done < total:
                time.sleep(POLL_S)

    def _wait_for_totals(self, loader: Loader) -> None:
        """Until the totals of what was loaded are made."""
        totals, moved_at = Totals(self._clickhouse), time.monotonic()
        left = len(totals.pending())
        while left:
            time.sleep(POLL_S)
            now_left = len(totals.pending())
            if now_left < left:
                moved_at = time.monotonic()
            left = now_left
            if not loader.is_alive() or time.monotonic() - moved_at > STALL_S:
                raise Fatal(
                    f"{left} totals are still due; the loader's log ends with: {loader.log_tail()}",
                    hint="everything else is loaded; start a loader and look at its /health",
                )
