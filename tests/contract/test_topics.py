"""Topics are made once, however many make them at the same moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from support.broker import new_node
from tokenmeter.events.contract import EVENTS, TOPICS
from tokenmeter.events.errors import Fatal
from tokenmeter.stack.topics import _create, ensure_topics


def test_those_who_make_topics_at_once_make_each_once(tmp_path: Path) -> None:
    node = new_node(tmp_path)
    node.start()
    try:
        client = {"bootstrap.servers": node.bootstrap}
        with ThreadPoolExecutor(3) as threads:
            made = list(threads.map(lambda _: ensure_topics(client, 2), range(3)))
        assert Counter(name for names in made for name in names) == Counter(topic.name for topic in TOPICS)
        admin = AdminClient(client)
        assert _create(admin, [NewTopic(EVENTS, 2, 1)]) == []
        with pytest.raises(Fatal, match="cannot create topic"):
            _create(admin, [NewTopic("usage.other", 2, 7)])
    finally:
        node.kill()
