"""The SDK with a spool on real Kafka, which is taken away and brought back: durable, in order, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from support.broker import broker, read_all
from support.events import event
from tokenmeter.emit import Emitter
from tokenmeter.emit.spool import SPOOL_BYTES_MIN
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import BufferFull, Misconfigured, SpoolUnusable, Undelivered
from tokenmeter.stack.kafka import KafkaNode


def call(number: int) -> UsageEvent:
    at = datetime.now(UTC)
    return event(number, customer_id=f"cus_{number % 5}", occurred_at=at, source="", sequence=None)


def arrived(bootstrap: str) -> list[tuple[str, str, int]]:
    """(customer, event id, sequence) of each event's first arrival, partition by partition."""
    seen: dict[str, tuple[str, str, int]] = {}
    for record in read_all(bootstrap, EVENTS):
        found = decode(record.value).record
        seen.setdefault(found["event_id"], (found["customer_id"], found["event_id"], found["sequence"]))
    return list(seen.values())


def inversions(found: list[tuple[str, str, int]]) -> list[str]:
    """Customers whose events did not arrive in the order in which they were emitted."""
    order = defaultdict(list)
    for customer, _, sequence in found:
        order[customer].append(sequence)
    return [customer for customer, numbers in order.items() if numbers != sorted(numbers)]


def test_events_of_an_outage_arrive_behind_those_before_and_before_those_after(tmp_path: Path) -> None:
    told: list[str | None] = []
    with broker(tmp_path) as kafka:
        emitter = Emitter(kafka.bootstrap, spool=tmp_path / "spool")
        for number in range(50):
            emitter.emit(call(number), told.append)
        emitter.flush()
        assert emitter.stats.spooled == 0
        kafka.kill()
        for number in range(50, 150):
            emitter.emit(call(number), told.append)
        assert emitter.stats.spooled == 100
        with pytest.raises(Undelivered, match="100 events are still in the spool") as raised:
            emitter.flush(0.5)
        assert raised.value.count == 100
        kafka.start()
        for number in range(150, 200):
            emitter.emit(call(number), told.append)
        emitter.flush(60)
        emitter.close()
        assert (emitter.stats.accepted, emitter.stats.acknowledged, emitter.stats.spooled) == (200, 200, 0)
        assert told == [None] * 200
        found = arrived(kafka.bootstrap)
    assert {one[1] for one in found} == {f"event-{n:08d}" for n in range(200)}
    assert sorted(one[2] for one in found) == list(range(200))
    assert inversions(found) == []


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    with broker(tmp_path_factory.mktemp("spool")) as node:
        yield node


def own_topic(kafka: KafkaNode, name: str, **config: str) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(30)
    return admin


def test_nothing_overtakes_an_event_that_kafka_refuses(kafka: KafkaNode, tmp_path: Path) -> None:
    admin = own_topic(kafka, "narrow", **{"max.message.bytes": "50000"})
    noise = "".join(chr(0x4E00 + (n * n * 7919) % 20_000) for n in range(40_000))  # does not compress below the bound
    emitter = Emitter(kafka.bootstrap, topic="narrow", spool=tmp_path)
    emitter.emit_many([call(n) for n in range(10)])
    emitter.flush()
    emitter.emit_many([call(10).model_copy(update={"tags": (noise,)}), *(call(n) for n in range(11, 20))])
    with pytest.raises(Undelivered, match=r"10 events are still in the spool .*size"):
        emitter.flush(5)
    assert [decode(one.value).record["sequence"] for one in read_all(kafka.bootstrap, "narrow")] == list(range(10))
    wider = ConfigResource(
        ConfigResource.Type.TOPIC,
        "narrow",
        incremental_configs=[ConfigEntry("max.message.bytes", "2000000", incremental_operation=AlterConfigOpType.SET)],
    )
    admin.incremental_alter_configs([wider])[wider].result(30)
    emitter.flush(60)
    emitter.close()
    assert [decode(one.value).record["sequence"] for one in read_all(kafka.bootstrap, "narrow")] == list(range(20))


def test_a_full_spool_raises_or_blocks_and_leaves_no_hole(kafka: KafkaNode, tmp_path: Path) -> None:
    """The topic does not exist yet, so nothing leaves the spool."""
    large = ("x" * 1_000_000,)
    wide = [call(n).model_copy(update={"tags": large}) for n in range(6)]
    bounds: dict[str, Any] = {"topic": "later", "spool": tmp_path, "spool_bytes": SPOOL_BYTES_MIN}
    with Emitter(kafka.bootstrap, on_full="raise", **bounds) as emitter:
        for one in wide[:4]:
            emitter.emit(one)
        with pytest.raises(BufferFull, match="has no room for"):
            emitter.emit(wide[4])
        emitter.emit(call(7))  # a small one still fits, with the number that the refused one did not take
        emitter.close(0)
    with Emitter(kafka.bootstrap, source="second", **bounds) as emitter:
        with pytest.raises(BufferFull, match="has no room for"):
            emitter.emit_many(wide)  # would never fit
        blocked = threading.Thread(target=emitter.emit, args=(wide[5],))
        blocked.start()
        blocked.join(0.3)
        assert blocked.is_alive()
        assert emitter.stats.accepted == 0
        own_topic(kafka, "later", **{"max.message.bytes": "2000000"})
        blocked.join(60)
        assert not blocked.is_alive()
        emitter.flush(60)
    found = [decode(one.value).record for one in read_all(kafka.bootstrap, "later")]
    assert [one["sequence"] for one in found] == [0, 1, 2, 3, 4, 0]
    assert found[-1]["source"] == "second"


def test_threads_that_emit_at_once_leave_no_hole_when_the_disk_is_full(kafka: KafkaNode, tmp_path: Path) -> None:
    own_topic(kafka, "holes")
    emitter = Emitter(kafka.bootstrap, topic="holes", spool=tmp_path)
    disk = emitter._sender._spool._appender  # type: ignore[attr-defined]
    refused: list[BufferFull] = []
    taken: list[int] = []

    def emit(thread: int) -> None:
        for n in range(50):
            number = thread * 100 + n
            try:
                emitter.emit(call(number))
                taken.append(number)
            except BufferFull as full:
                refused.append(full)
                disk.execute("PRAGMA max_page_count=1000000")  # somebody frees space

    disk.execute("PRAGMA max_page_count=1")  # SQLite takes what is used already for the least bound
    threads = [threading.Thread(target=emit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused, "the disk was never full"
    emitter.flush(60)
    assert emitter.stats.accepted == emitter.stats.acknowledged == len(taken)
    emitter.close()
    found = [decode(one.value).record for one in read_all(kafka.bootstrap, "holes")]
    assert [one["sequence"] for one in found] == list(range(len(taken)))
    assert {one["event_id"] for one in found} == {f"event-{n:08d}" for n in taken}


def test_a_closed_or_forked_emitter_and_a_bad_setting_say_so(tmp_path: Path) -> None:
    with pytest.raises(KafkaException, match="such"):
        Emitter("127.0.0.1:1", spool=tmp_path, client_config={"no.such.setting": 1})
    with pytest.raises(Misconfigured, match="too small"):
        Emitter("127.0.0.1:1", spool=tmp_path, spool_bytes=1)
    emitter = Emitter("127.0.0.1:1", spool=tmp_path)
    emitter.emit(call(1))
    emitter._sender._pid -= 1  # type: ignore[attr-defined]
    with pytest.raises(Misconfigured, match="before a fork"):
        emitter.emit(call(2))
    emitter._sender._pid += 1  # type: ignore[attr-defined]
    emitter.close(0)
    assert emitter.stats.spooled == 1
    with pytest.raises(Misconfigured, match="is closed"):
        emitter.emit(call(3))
    emitter.close()


def test_damage_stops_the_emitter_and_is_told_to_whoever_emits(kafka: KafkaNode, tmp_path: Path) -> None:
    own_topic(kafka, "damaged")
    with Emitter("127.0.0.1:1", topic="damaged", spool=tmp_path, source="s") as emitter:
        emitter.emit_many([call(n) for n in range(5)])
        emitter.close(0)
    path = tmp_path / "spool.sqlite"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"event-00000002", b"event-0000000X"))
    emitter = Emitter(kafka.bootstrap, topic="damaged", spool=tmp_path)
    with pytest.raises(SpoolUnusable, match="event 3 of source s is not as it was written"):
        emitter.flush(30)
    with pytest.raises(SpoolUnusable, match="is damaged"):
        emitter.emit(call(9))
    with pytest.raises(SpoolUnusable, match="is damaged"):
        emitter.close()
    assert read_all(kafka.bootstrap, "damaged") == []


def command(*arguments: str, bootstrap: str = "127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TOKENMETER_KAFKA_BOOTSTRAP": bootstrap, "COLUMNS": "200"}
    program = [sys.executable, "-m", "tokenmeter.cli.app", "spool", *arguments]
    return subprocess.run(program, env=env, capture_output=True, text=True, timeout=120)


def test_the_command_lists_a_spool_and_drains_it(kafka: KafkaNode, tmp_path: Path) -> None:
    folder = str(tmp_path)
    own_topic(kafka, "drained")
    with Emitter("127.0.0.1:1", topic="drained", spool=tmp_path, source="app-1") as emitter:
        emitter.emit_many([call(n) for n in range(300)])
        listed = command("list", folder)
        assert listed.returncode == 0, listed.stderr
        assert ["app-1", "drained", "300"] in [line.split()[:3] for line in listed.stdout.splitlines()]
        busy = command("drain", folder, bootstrap=kafka.bootstrap)
        assert (busy.returncode, "is using the spool" in busy.stderr) == (1, True), busy.stderr
        emitter.close(0)
    away = command("drain", folder, "--patience", "1")
    assert away.returncode == 1
    assert "300 events are still in the spool" in away.stderr
    done = command("drain", folder, bootstrap=kafka.bootstrap)
    assert done.returncode == 0, done.stderr
    assert "300 events acknowledged; the spool is empty" in done.stdout
    found = [decode(one.value).record for one in read_all(kafka.bootstrap, "drained")]
    assert [one["event_id"] for one in found] == [f"event-{n:08d}" for n in range(300)]
    assert "0 events, 0 bytes" in command("list", folder).stdout
    missing = command("list", str(tmp_path / "nowhere"))
    assert (missing.returncode, "is no spool" in missing.stderr) == (1, True)
