"""The transport touches private attributes of Faust and aiokafka; each is guarded here, with the version that has it.

A new version that renames one fails this test by name, before it can lose a batch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.structs import TopicPartition

from tokenmeter.flow.faust import drain, transport

PINNED = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
BATCH = ("base_offset", "next_offset", "is_control_batch", "is_transactional", "producer_id", "max_timestamp")


def missing(private: dict[str, tuple[str, ...]]) -> list[str]:
    """The attributes of classes that are not there (instance attributes count when __init__ sets them)."""
    found = []
    for path, names in private.items():
        module, _, name = path.partition(":")
        owner: Any = getattr(import_module(module), name)
        set_by_init = set(owner.__init__.__code__.co_names) if hasattr(owner.__init__, "__code__") else set()
        found += [f"{path}.{n}" for n in names if not hasattr(owner, n) and n not in set_by_init]
    return found


@pytest.mark.parametrize("package", PINNED)
def test_the_pinned_version_is_the_one_installed(package: str) -> None:
    assert version(package) == PINNED[package], f"{package}: look at every attribute below before moving the pin"


@pytest.mark.parametrize("private", [transport.PRIVATE, drain.PRIVATE], ids=["transport", "drain"])
def test_every_private_attribute_is_there(private: dict[str, tuple[str, ...]]) -> None:
    assert missing(private) == []


def test_the_guard_finds_an_attribute_that_is_gone() -> None:
    gone = {"aiokafka.consumer.fetcher:FetchResult": ("has_more", "_renamed")}
    assert missing(gone) == ["aiokafka.consumer.fetcher:FetchResult._renamed"]


def test_instances_carry_what_the_drain_reads() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1, None, b"value", [])
    data = bytes(builder.build())
    records = PartitionRecords(TopicPartition("t", 0), _MemoryRecordsPy(data), [], 0, None, None, True, 1)
    result = FetchResult(TopicPartition("t", 0), assignment=None, partition_records=records, backoff=0.0)
    for path, names in drain.PRIVATE_INSTANCE.items():
        instance = result if path.endswith("FetchResult") else records
        assert [name for name in names if not hasattr(instance, name)] == [], path
    assert [name for name in BATCH if not hasattr(DefaultRecordBatch(data), name)] == []
