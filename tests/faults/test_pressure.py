"""Fault: more comes than can go on: ClickHouse is away while Kafka fills, one customer sends nearly everything, one
worker has 64 partitions, every event comes in a batch of its own.

Invariant: nothing is lost or doubled, and what a worker holds is bounded. The mutant takes batches however many wait
already; the same check must find what it holds.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from bench.preload import ids, preload
from support import oracle
from support.broker import eventually, lag, read_all
from support.events import event
from support.workers import WorkerProcess
from support.world import World
from tokenmeter.events import decode, encode
from tokenmeter.events.contract import BILLING, EVENTS, PAGES, QUARANTINE
from tokenmeter.events.groups import LOAD

BACKLOG_EVENTS = 4_000_000
HELD_MB_MAX = 700
"""More than its bounds let a loader hold of the backlog, and less than the backlog takes."""
QUIET_SAMPLES = 40
SAMPLE_S = 0.25
MANY_PARTITIONS = 64
MANY_MB_MAX = 900
MANY_THREADS_MAX = 64 * 6
TIMEOUT_S = 300.0


def rss_mb(worker: WorkerProcess) -> int:
    assert worker.child.pid is not None
    return int(psutil.Process(worker.child.pid).memory_info().rss >> 20)


def held_mb(worker: WorkerProcess) -> int:
    """What it holds at most until it has taken nothing more for QUIET_SAMPLES."""
    highest, quiet = rss_mb(worker), 0
    deadline = time.monotonic() + TIMEOUT_S
    while quiet < QUIET_SAMPLES:
        assert time.monotonic() < deadline
        if not worker.child.is_alive():  # ClickHouse was away for longer than an insert is tried
            worker.child.start()
        now = rss_mb(worker)
        quiet = 0 if now > highest + 1 else quiet + 1
        highest = max(highest, now)
        time.sleep(SAMPLE_S)
    return highest


def load_a_backlog(folder: Path, mutant: str | None) -> int:
    """ClickHouse goes, BACKLOG_EVENTS come, ClickHouse returns: all are stored once. Returns what the loader held."""
    with World.begun(folder, clickhouse=True) as world:
        loader = world.worker("load", slot="1", page_seconds=1.0, page_events=100_000, mutant=mutant)
        preload(world.bootstrap, 1_000, lambda done: None, seed=1)
        world.wait_read("load", EVENTS)
        world.server.child.kill()
        before = rss_mb(loader)
        preload(world.bootstrap, BACKLOG_EVENTS, lambda done: None, seed=2)
        held = held_mb(loader) - before
        assert lag(world.bootstrap, LOAD.id, EVENTS) >= BACKLOG_EVENTS
        world.server.start()

        def done() -> bool:
            if not loader.child.is_alive():  # ClickHouse was away for longer than an insert is tried
                loader.child.start()
            return lag(world.bootstrap, LOAD.id, EVENTS) == 0

        eventually("the backlog is loaded", done, TIMEOUT_S, 0.5)
        stored = world.store.query("SELECT event_id FROM tokenmeter.usage_events FINAL").result_columns[0]
        sent = {one.decode() for one in [*ids(1_000, 1), *ids(BACKLOG_EVENTS, 2)]}
        assert len(stored) == len(sent)
        assert set(stored) == sent
    return held


@pytest.mark.long
def test_kafka_holds_the_backlog_while_clickhouse_is_away(tmp_path: Path) -> None:
    assert load_a_backlog(tmp_path, None) < HELD_MB_MAX


@pytest.mark.long
def test_the_same_check_finds_a_loader_that_takes_whatever_comes(tmp_path: Path) -> None:
    assert load_a_backlog(tmp_path, "unbounded") >= HELD_MB_MAX


@pytest.mark.long
def test_events_in_batches_of_their_own_are_metered_once(tmp_path: Path) -> None:
    with World.begun(tmp_path) as world:
        world.waves.sent = oracle.made(0, 4_000)
        values = [(one.customer_id, encode("usage_event", one.to_record())) for one in world.waves.sent]
        world.produce(values, **{"batch.num.messages": 1, "linger.ms": 0})
        world.worker("meter", slot="1")
        world.wait_read("meter", timeout_s=TIMEOUT_S)
        assert world.check().problems() == []


def test_one_customer_with_nearly_all_traffic_is_metered_once_and_so_are_the_others(tmp_path: Path) -> None:
    chance = random.Random(5)
    ended = oracle.made(0, 1)[0].occurred_at
    sent = []
    for number in range(20_000):
        customer = "whale" if chance.random() < 0.95 else f"customer-{chance.randrange(500)}"
        # Every event has a key of its own, so that the lines name the set of events.
        sent.append(event(number, customer_id=customer, api_key_id=f"key-{number}", occurred_at=ended))
    with World.begun(tmp_path, 8) as world:
        oracle.send(world.bootstrap, sent)
        world.worker("meter", slot="1")
        world.wait_read("meter", timeout_s=TIMEOUT_S)
        metered: Counter[tuple[str, str, int]] = Counter()
        for record in read_all(world.bootstrap, BILLING):
            line = decode(record.value).record
            metered[line["customer_id"], line["api_key_id"], line["output_tokens"]] += line["events"]
        assert metered == Counter((one.customer_id, str(one.api_key_id), one.output_tokens) for one in sent)
        assert read_all(world.bootstrap, QUARANTINE) == []


@pytest.mark.long
def test_one_worker_meters_64_partitions_within_its_bounds(tmp_path: Path) -> None:
    with World.begun(tmp_path, MANY_PARTITIONS) as world:
        world.waves.wave(6_000)
        meter = world.worker("meter", slot="1")
        world.wait_read("meter", timeout_s=TIMEOUT_S)
        assert meter.owned() == set(range(MANY_PARTITIONS))
        assert meter.child.pid is not None
        assert rss_mb(meter) < MANY_MB_MAX
        assert psutil.Process(meter.child.pid).num_threads() < MANY_THREADS_MAX
        assert world.check().problems() == []
        pages = read_all(world.bootstrap, PAGES)
        assert {record.partition for record in pages} == set(range(MANY_PARTITIONS))


@pytest.mark.parametrize("partitions", [1, 4, 64, 1000])
def test_what_is_fetched_ahead_does_not_grow_with_the_partitions(partitions: int) -> None:
    from tokenmeter.flow.faust.transport import FETCH_PARTITION_BYTES_MIN, FETCH_TOTAL_BYTES_MAX, fetch_bytes

    most = max(FETCH_TOTAL_BYTES_MAX, partitions * FETCH_PARTITION_BYTES_MIN)
    assert partitions * fetch_bytes(partitions) <= most
