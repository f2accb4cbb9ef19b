"""Which topics the tables were loaded from: by name, the id that Kafka gave the topic when it was made."""

from __future__ import annotations

from collections.abc import Mapping

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tokenmeter.store.statement import sql


def loaded_topics(client: Client) -> dict[str, str]:
    """Topic: id. A store from before this was remembered knows of none."""
    try:
        rows = client.query(sql("loaded_topics")).result_rows
    except DatabaseError as error:
        if "UNKNOWN_TABLE" in str(error):
            return {}
        raise
    return {str(topic): str(topic_id) for topic, topic_id in rows}


def note_topics(client: Client, ids: Mapping[str, str]) -> None:
    """Remember that these are loaded from now on."""
    if ids:
        client.insert("tokenmeter.loaded_topics", list(ids.items()), column_names=("topic", "topic_id"))


def made_anew(known: Mapping[str, str], ids: Mapping[str, str]) -> list[str]:
    """The topics whose id is another than the one the tables were loaded from."""
    return sorted(topic for topic, topic_id in ids.items() if known.get(topic, topic_id) != topic_id)


def has_pages(client: Client) -> bool:
    """Whether a page was ever loaded: a store from before topics were noted knows none of them."""
    return bool(client.query(sql("has_pages")).result_rows)
