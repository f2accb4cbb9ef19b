"""Where the Java clients' partitioner puts a key; producers of usage.events must do the same."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2

PARTITIONS_CACHED_MAX = 100_000


@lru_cache(PARTITIONS_CACHED_MAX)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a customer, an account or a model, of so many."""
    hashed: int = murmur2(key.encode())
    return (hashed & 0x7FFFFFFF) % partitions
