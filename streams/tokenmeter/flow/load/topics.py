"""Refuses to load a topic that was deleted and made anew: its offsets begin again and would replace old pages."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.positions import positions
from tokenmeter.store.topics import has_pages, loaded_topics, made_anew, note_topics

log = logging.getLogger(__name__)

TOPICS_LOOK_S = 10.0
"""How often a running loader looks whether its topics are still the same."""


def require_same_topics(store: Client, ids: Callable[[], Mapping[str, str]]) -> None:
    """Remember topics that are new to the store. Raises Misconfigured naming each that is another than before."""
    known, there = loaded_topics(store), ids()
    if others := made_anew(known, there):
        raise Misconfigured(
            f"{', '.join(others)}: deleted and made anew since ClickHouse was loaded from it. Offsets begin again, so "
            "new pages would replace old ones of the same number; nothing was loaded",
            hint="tokenmeter rebuild --accept-loss --yes loads what Kafka has now; or restore the old topic",
        )
    note_topics(store, {topic: topic_id for topic, topic_id in there.items() if topic not in known})


def require_loaded_here(store: Client, client: Mapping[str, Any], group: str, topics: Sequence[str]) -> None:
    """Raises Misconfigured when ``group`` has loaded something and this store has nothing: another stack's loaders, on
    the same Kafka with another store, share the group, and each store would get a part."""
    if loaded_topics(store) or has_pages(store):
        return
    log = KafkaLogReader(client)
    places = [(topic, number) for topic in topics for number in range(log.partitions(topic))]
    read = {place: at for place, at in positions(client, group, places).items() if at > 0}
    if there := [f"{topic}/{number} to {at}" for (topic, number), at in read.items() if at > log.start(topic, number)]:
        raise Misconfigured(
            f"this ClickHouse is empty, and {group} has loaded {', '.join(there[:3])} into another one: each would get "
            "a part",
            hint="stop the other loaders and run tokenmeter rebuild --yes; or give this stack a Kafka of its own",
        )


def watch_topics(
    connect: Callable[[], Client], check: Callable[[Client], None], die: Callable[[BaseException], None]
) -> None:
    """Begin to look in a thread of its own, for as long as the process lives; ``die`` when a topic is another.

    A reader that runs on would skip what a new topic has below its old position. While Kafka or ClickHouse are away
    there is nothing to see.
    """

    def look() -> None:
        store: Client | None = None
        while True:
            try:
                store = store or connect()
                check(store)
            except Misconfigured as error:
                if store is not None:
                    die(error)
                    return
            except (Fatal, ClickHouseError, OSError) as error:
                log.warning("cannot look whether the topics are the same: %s", error)
            time.sleep(TOPICS_LOOK_S)

    threading.Thread(target=look, name="topics", daemon=True).start()
