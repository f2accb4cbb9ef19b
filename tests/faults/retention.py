"""Faults of a slow consumer, from which retention takes what it has not read; and of a ClickHouse that is damaged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from faults.fault import Fault
from support.broker import Record, broker, eventually, lag, read_all
from support.clickhouse import Server
from support.oracle import made
from support.outcome import Outcome
from support.workers import WorkerProcess
from tokenmeter.emit import Emitter
from tokenmeter.events import decode
from tokenmeter.events.contract import BILLING, EVENTS, PAGES
from tokenmeter.flow.load import app as load_app
from tokenmeter.flow.load.load import TABLES
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.kafka.losses import lost_offsets
from tokenmeter.ops.rebuild import LOADED, Rebuild
from tokenmeter.store.client import connect
from tokenmeter.store.derived import created, drop_derived, tables
from tokenmeter.store.migrate import migrate

WAVE = 200
DAMAGED_ROWS = 7


def send(bootstrap: str, first: int, count: int) -> None:
    with Emitter(bootstrap, source="retention") as emitter:
        for one in made(first, count):
            emitter.emit(one)


def committed(bootstrap: str, group: str, partition: int) -> int:
    """The next offset of usage.events that the group will read; 0 where it has none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        return max(0, int(consumer.committed([TopicPartition(EVENTS, partition)], 30)[0].offset))
    finally:
        consumer.close()


def remove_below(bootstrap: str, ends: dict[int, int]) -> None:
    """What retention does: everything of usage.events before these offsets is gone."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records([TopicPartition(EVENTS, p, end) for p, end in ends.items()]).values():
        future.result(30)


def customers(log: list[Record]) -> set[str]:
    return {decode(record.value).record["customer_id"] for record in log}


@dataclass(frozen=True)
class Kind:
    """A worker whose input is taken away: its group, and which customers it has made something of."""

    name: str
    group: str

    def made_of(self, bootstrap: str, client: Client | None) -> list[str]:
        if client is not None:
            rows = client.query("SELECT customer_id FROM tokenmeter.usage_events FINAL").result_rows
            return [row[0] for row in rows]
        return [decode(record.value).record["customer_id"] for record in read_all(bootstrap, BILLING)]


METER, LOADER = Kind("meter", meter_app.APP_ID), Kind("load", load_app.APP_ID)


@contextmanager
def store(folder: Path) -> Iterator[tuple[Server, Client]]:
    server = Server(folder)
    server.start()
    try:
        client = connect(server.url, "writer", "secret")
        migrate(client)
        yield server, client
    finally:
        server.child.kill()


def lose(kind: Kind, folder: Path, times: int, seed: int, twin: str | None = None) -> Outcome:
    """Stop the worker, let retention take unread events of ``times`` partitions, start it again.

    Of every second partition everything is taken, so that no record follows the gap. What was lost must be counted
    exactly, in commits, pages, log and /health, and nothing else may be missing.
    """
    chance, wrong = random.Random(seed), []
    with store(folder) as (server, client), broker(folder, max(2, times)) as kafka:
        spec: dict[str, Any] = {"twin": twin, "clickhouse_url": server.url}
        worker = WorkerProcess(folder, "first", kind.name, kafka.bootstrap, **spec)
        send(kafka.bootstrap, 0, WAVE * max(2, times))
        eventually(f"the first wave is read; {worker.log}", lambda: lag(kafka.bootstrap, kind.group, EVENTS) == 0)
        worker.kill()
        send(kafka.bootstrap, WAVE * max(2, times), WAVE * max(2, times))
        log = read_all(kafka.bootstrap, EVENTS)
        ends = {record.partition: record.offset + 1 for record in log}
        cut, expected = {}, {}
        for partition, end in sorted(ends.items())[: max(2, times)]:
            position = committed(kafka.bootstrap, kind.group, partition)
            cut[partition] = end if partition % 2 else chance.randrange(position + 1, end)
            expected[EVENTS, partition] = cut[partition] - position
        gone = [r for r in log if committed(kafka.bootstrap, kind.group, r.partition) <= r.offset < cut[r.partition]]
        remove_below(kafka.bootstrap, cut)
        worker = WorkerProcess(folder, "second", kind.name, kafka.bootstrap, **spec)
        try:
            eventually(f"all is read; {worker.log}", lambda: lag(kafka.bootstrap, kind.group, EVENTS) == 0)
            group = lost_offsets({"bootstrap.servers": kafka.bootstrap}, kind.group, [EVENTS])
            if group != expected:
                wrong.append(f"commits say {group}, retention took {expected}")
            else:
                total = sum(expected.values())
                eventually("/health says it", lambda: (worker.health() or {}).get("lost_offsets") == total)
                if "retention removed the offsets" not in worker.log.read_text():
                    wrong.append("the log says nothing of it")
            if kind is METER:
                pages = sum(decode(record.value).record["lost"] for record in read_all(kafka.bootstrap, PAGES))
                if pages != sum(expected.values()):
                    wrong.append(f"pages say {pages}, retention took {sum(expected.values())}")
            there = kind.made_of(kafka.bootstrap, client if kind is LOADER else None)
        finally:
            worker.kill()
    wanted = customers(log) - customers(gone)
    doubled = len(there) - len(set(there))
    if strange := set(there) - wanted:
        wrong.append(f"made of what was taken: {len(strange)}")
    return Outcome(len(cut), len(wanted), len(wanted - set(there)), doubled, tuple(wrong))


def losing(kind: Kind) -> Fault:
    def run(folder: Path, times: int, seed: int) -> Outcome:
        return lose(kind, folder, times, seed)

    def control(folder: Path, seed: int) -> str:
        outcome = lose(kind, folder, 2, seed, "silent_gap")
        return "" if outcome.holds else str(outcome)

    return Fault(
        f"retention_{kind.name}",
        f"retention removes what the {kind.name} has not read, up to whole partitions",
        "the loss is counted exactly, lasts, and is the only thing missing",
        run,
        "an engine that skips gaps silently",
        control,
    )


class ForgetsATable(Rebuild):
    """Drops and makes anew all but one table."""

    def recreate(self) -> None:
        kept = client_rows(self._clickhouse, "usage_market")
        drop_derived(self._clickhouse, LOADED)
        migrate(self._clickhouse)
        self._clickhouse.insert("tokenmeter.usage_market", kept[1], column_names=kept[0])


def client_rows(client: Client, table: str) -> tuple[list[str], list[Any]]:
    found = client.query(f"SELECT * FROM tokenmeter.{table}")
    return list(found.column_names), [list(row) for row in found.result_rows]


AGES = ("boards", "pipeline")
"""A view of nothing but ages, which grow while one looks."""


def dump(client: Client) -> dict[str, bytes]:
    """Every table of ours, byte for byte in order, and what every view answers."""
    views = [name for name, is_table in created() if not is_table and name != AGES]
    found = {
        ".".join(name): client.raw_query(f"SELECT * FROM {'.'.join(name)} FINAL ORDER BY ALL FORMAT RowBinary")
        for name in tables(LOADED)
    }
    return found | {
        ".".join(name): client.raw_query(f"SELECT * FROM {'.'.join(name)} ORDER BY ALL FORMAT RowBinary")
        for name in views
    }


def damage(client: Client, chance: random.Random) -> None:
    """Rows changed, rows that never were, and a table emptied: what no insert of a loader puts right."""
    client.command(f"TRUNCATE TABLE tokenmeter.{chance.choice(['usage_billing', 'usage_pages', 'quarantine'])}")
    for table, column in (("usage_market", "output_tokens"), ("usage_events", "input_tokens")):
        names, rows = client_rows(client, table)
        at, partition, offset = (
            names.index(column),
            names.index("partition"),
            names.index("offset" if table == "usage_events" else "first_offset"),
        )
        changed = []
        for row in chance.sample(rows, min(DAMAGED_ROWS, len(rows))):
            row[at] += 1
            row[partition] += 1_000
            row[offset] = 0
            changed.append(row)
        client.insert(f"tokenmeter.{table}", changed, column_names=names)


def rebuilds(folder: Path, times: int, seed: int, work: type[Rebuild] = Rebuild) -> Outcome:
    """Load, keep a dump, damage ClickHouse, rebuild: the dump must be the same, ``times`` times."""
    chance, wrong, count = random.Random(seed), [], 0
    with store(folder) as (server, client), broker(folder) as kafka:
        settings = {"bootstrap.servers": kafka.bootstrap}

        def start() -> Any:
            nonlocal count
            count += 1
            return WorkerProcess(folder, f"load-{count}", "load", kafka.bootstrap, clickhouse_url=server.url).child

        meter = WorkerProcess(folder, "meter", "meter", kafka.bootstrap)
        rebuild = work(settings, client, start)
        try:
            send(kafka.bootstrap, 0, WAVE)
            eventually("it is metered", lambda: lag(kafka.bootstrap, meter_app.APP_ID, EVENTS) == 0)
        finally:
            meter.kill()
        Rebuild(settings, client, start).run()  # from nothing: the first load
        before = dump(client)
        if sum(map(len, before.values())) == 0 or len(TABLES) > len(before):
            wrong.append("nothing was loaded")
        for number in range(times):
            damage(client, chance)
            if dump(client) == before:
                wrong.append(f"injection {number} damaged nothing")
            rebuild.require_no_loader(30)
            rebuild.run()
            after = dump(client)
            wrong += [f"injection {number}: {name} is different" for name in before if before[name] != after[name]]
    return Outcome(times, WAVE, wrong=tuple(wrong))


def forgetful(folder: Path, seed: int) -> str:
    outcome = rebuilds(folder, 1, seed, ForgetsATable)
    return "" if outcome.holds else str(outcome)


FAULTS: list[Fault] = [
    losing(METER),
    losing(LOADER),
    Fault(
        "rebuild",
        "rows of ClickHouse changed, added and removed behind the loader's back",
        "a rebuild makes every table and view byte-equal to what it was",
        rebuilds,
        "a rebuild that forgets a table",
        forgetful,
    ),
]
