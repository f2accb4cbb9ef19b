"""A cluster's size and places are part of its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.kafka_cluster import KafkaCluster, require_size


def test_a_cluster_is_found_where_it_was_and_in_no_other_size(tmp_path: Path) -> None:
    first = KafkaCluster(tmp_path / "data", tmp_path, 3)
    assert len(set(first.bootstrap.split(","))) == 3
    assert KafkaCluster(tmp_path / "data", tmp_path, 3).bootstrap == first.bootstrap
    for brokers in (1, 2):
        with pytest.raises(Misconfigured, match=rf"holds a Kafka of 3 broker\(s\), not {brokers}"):
            require_size(tmp_path / "data", brokers)


def test_a_single_broker_s_data_is_no_cluster_s(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    require_size(tmp_path, 1)
    with pytest.raises(Misconfigured, match=r"holds a Kafka of 1 broker\(s\), not 3"):
        KafkaCluster(tmp_path, tmp_path, 3)
