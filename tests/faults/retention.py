"""Faults of a slow consumer, from which retention takes what it has not read; and of a ClickHouse that is damaged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from faults.fault import Fault
from support.broker import Record, eventually, read_all
from support.oracle import made
from support.outcome import Outcome
from support.world import World
from tokenmeter.events import decode
from tokenmeter.events.contract import BILLING, EVENTS, PAGES
from tokenmeter.events.groups import GROUPS
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.kafka.losses import lost_offsets
from tokenmeter.ops.rebuild import LOADED, Rebuild
from tokenmeter.store.derived import created, drop_derived, tables
from tokenmeter.store.migrate import migrate

WAVE = 200
DAMAGED_ROWS = 7


def committed(bootstrap: str, group: str, partition: int) -> int:
    """The next offset of usage.events that the group will read; 0 where it has none."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        return max(0, int(consumer.committed([TopicPartition(EVENTS, partition)], 30)[0].offset))
    finally:
        consumer.close()


def remove_below(admin: AdminClient, ends: dict[int, int]) -> None:
    """What retention does: everything of usage.events before these offsets is gone."""
    for future in admin.delete_records([TopicPartition(EVENTS, p, end) for p, end in ends.items()]).values():
        future.result(30)


def customers(log: list[Record]) -> set[str]:
    return {decode(record.value).record["customer_id"] for record in log}


def made_of(kind: str, world: World) -> list[str]:
    """The customers that a worker has made something of."""
    if kind == "load":
        return [
            row[0] for row in world.store.query("SELECT customer_id FROM tokenmeter.usage_events FINAL").result_rows
        ]
    return [decode(record.value).record["customer_id"] for record in read_all(world.bootstrap, BILLING)]


def lose(kind: str, folder: Path, times: int, seed: int, mutant: str | None = None) -> Outcome:
    """Stop the worker, let retention take unread events of ``times`` partitions, start it again.

    Of every second partition everything is taken, so that no record follows the gap. What was lost must be counted
    exactly, in commits, pages, log and /health, and nothing else may be missing.
    """
    chance, wrong, partitions, group = random.Random(seed), [], max(2, times), GROUPS[kind].id
    with World.begun(folder, partitions, clickhouse=kind == "load") as world:
        worker = world.worker(kind, mutant=mutant)
        world.send(made(0, WAVE * partitions))
        world.wait_read(kind, EVENTS)
        worker.kill()
        world.send(made(WAVE * partitions, WAVE * partitions))
        log = read_all(world.bootstrap, EVENTS)
        ends = {record.partition: record.offset + 1 for record in log}
        cut, expected, positions = {}, {}, {}
        for partition, end in sorted(ends.items())[:partitions]:
            positions[partition] = committed(world.bootstrap, group, partition)
            cut[partition] = end if partition % 2 else chance.randrange(positions[partition] + 1, end)
            expected[EVENTS, partition] = cut[partition] - positions[partition]
        gone = [record for record in log if positions[record.partition] <= record.offset < cut[record.partition]]
        remove_below(world.admin, cut)
        worker = world.worker(kind, mutant=mutant)
        world.wait_read(kind, EVENTS)
        total, lost = sum(expected.values()), lost_offsets(world.client, group, [EVENTS])
        if lost != expected:
            wrong.append(f"commits say {lost}, retention took {expected}")
        else:
            eventually("/health says it", lambda: (worker.health() or {}).get("lost_offsets") == total)
            if "retention removed the offsets" not in worker.log.read_text():
                wrong.append("the log says nothing of it")
        if kind == "meter":
            pages = sum(decode(record.value).record["lost"] for record in read_all(world.bootstrap, PAGES))
            if pages != total:
                wrong.append(f"pages say {pages}, retention took {total}")
        there = made_of(kind, world)
    wanted = customers(log) - customers(gone)
    doubled = len(there) - len(set(there))
    if strange := set(there) - wanted:
        wrong.append(f"made of what was taken: {len(strange)}")
    return Outcome(len(cut), len(wanted), len(wanted - set(there)), doubled, tuple(wrong))


def losing(kind: str) -> Fault:
    def run(folder: Path, times: int, seed: int) -> Outcome:
        return lose(kind, folder, times, seed)

    def control(folder: Path, seed: int) -> str:
        outcome = lose(kind, folder, 2, seed, "silent_gap")
        return "" if outcome.holds else str(outcome)

    return Fault(
        f"retention_{kind}",
        f"retention removes what the {'loader' if kind == 'load' else kind} has not read, up to whole partitions",
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


def sorted_rows(client: Client, statement: str) -> bytes:
    """Its rows in an order of their own: not every column's type is one that ClickHouse sorts by."""
    return b"\n".join(sorted(client.raw_query(f"{statement} FORMAT TabSeparated").split(b"\n")))


def client_rows(client: Client, table: str) -> tuple[list[str], list[Any]]:
    found = client.query(f"SELECT * FROM tokenmeter.{table}")
    return list(found.column_names), [list(row) for row in found.result_rows]


AGES = ("boards", "pipeline")
"""A view of nothing but ages, which grow while one looks."""
ASKED = {("tokenmeter", "anomaly_minutes"): "(places = 1000)"}
"""What views with parameters are asked with."""


def dump(client: Client) -> dict[str, bytes]:
    """Every table of ours, byte for byte in order, and what every view answers of it."""
    views = [name for name, is_table in created() if not is_table and name != AGES]
    found = {".".join(name): sorted_rows(client, f"SELECT * FROM {'.'.join(name)} FINAL") for name in tables(LOADED)}
    asked = {".".join(name): answer_of(client, f"{'.'.join(name)}{ASKED.get(name, '')}") for name in views}
    return found | {name: sorted_rows(client, statement) for name, statement in asked.items()}


def answer_of(client: Client, view: str) -> str:
    """A statement for what a view says: not when its totals were made, and states by what they come to.

    The same state has other bytes when the same values came in another order.
    """
    columns = client.query(f"DESCRIBE (SELECT * FROM {view})").result_rows
    said = [
        f"finalizeAggregation({name})" if kind.startswith("AggregateFunction") else name
        for name, kind, *_ in columns
        if name != "version"
    ]
    return f"SELECT {', '.join(said)} FROM {view}"


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
    chance, wrong = random.Random(seed), []
    with World.begun(folder, clickhouse=True) as world:

        def start() -> Any:
            return world.worker("load").child

        client, rebuild = world.store, work(world.client, world.store, start)
        meter = world.worker("meter")
        world.send(made(0, WAVE))
        world.wait_read("meter")
        meter.kill()
        Rebuild(world.client, client, start).run()  # from nothing: the first load
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
    losing("meter"),
    losing("load"),
    Fault(
        "rebuild",
        "rows of ClickHouse changed, added and removed behind the loader's back",
        "a rebuild makes every table and view byte-equal to what it was",
        rebuilds,
        "a rebuild that forgets a table",
        forgetful,
    ),
]
