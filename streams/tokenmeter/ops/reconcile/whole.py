"""Whether the store is of this log and has every page of it: what it lacks would look like nothing to correct.

The pages before the last are proved by their offsets, which leave no hole; here the first and the last are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.kafka.identity import identity
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.ops.reconcile.sources import Offsets, Store
from tokenmeter.store.topics import loaded_topics, made_anew

REBUILD = "tokenmeter rebuild --yes loads what Kafka has"


def require_same_log(client: Mapping[str, Any], store: Store) -> None:
    """Raises Misconfigured when the store was loaded from other topics than these."""
    there = identity(client, (EVENTS, BILLING, MARKET, PAGES))
    others = made_anew(loaded_topics(store.client), {name: one.topic_id for name, one in there.topics.items()})
    if others:
        raise Misconfigured(
            f"ClickHouse was loaded from another log: {', '.join(others)} were made anew since; nothing can be judged",
            hint="tokenmeter rebuild --accept-loss --yes loads what Kafka has now; or restore the old topics",
        )


def require_last_pages(client: Mapping[str, Any], store: Store, ends: Offsets) -> None:
    """Raises Fatal naming a partition whose last record, at ``ends`` minus 1, is in no stored page or whose pages go
    beyond the log. All of it is metered and loaded by now."""
    log = KafkaLogReader(client)
    partitions = sorted(ends)
    rows = store.rows("last_pages", partitions=partitions, ends=[ends[p] for p in partitions])
    stored = {row["partition"]: row for row in rows}
    for partition in partitions:
        reached = int(stored[partition]["reached"]) if partition in stored else 0
        if reached < ends[partition] and log.start(EVENTS, partition) < ends[partition]:
            raise Fatal(
                f"ClickHouse lacks the last page of {EVENTS}/{partition}: the log is metered up to offset "
                f"{ends[partition] - 1}, its pages in ClickHouse end at {reached - 1 if reached else 'no page'}",
                hint=f"tokenmeter audit --partition {partition}; {REBUILD}",
            )
        beyond = int(stored[partition]["beyond"]) if partition in stored else 0
        if beyond and beyond > log.end(EVENTS, partition):
            raise Fatal(
                f"ClickHouse has pages of {EVENTS}/{partition} up to offset {beyond - 1}, where the log has nothing: "
                "it was loaded from another log",
                hint="tokenmeter rebuild --accept-loss --yes loads what Kafka has now; or restore the old log",
            )


def require_first_page(client: Mapping[str, Any], partition: int, begin: int, wanted: int) -> None:
    """Raises Fatal when stored pages begin after ``wanted`` although the log still has what lies before ``begin``."""
    if begin > wanted and KafkaLogReader(client).start(EVENTS, partition) < begin:
        raise Fatal(
            f"ClickHouse lacks the first page of {EVENTS}/{partition}: its pages begin at offset {begin}, the ones "
            f"wanted at {wanted}",
            hint=f"tokenmeter audit --partition {partition}; {REBUILD}",
        )
