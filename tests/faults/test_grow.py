"""Fault (X06): usage.events grows from 4 to 8 partitions between two waves, the second of which is not metered yet; the
command is interrupted on its way; afterwards calls of both waves are sent again. Invariant: repeats are repeats, every
event is counted once, none is misrouted, states are the sums of their entries, audit and reconcile find nothing.

Mutants on the same log: a meter and an audit that do not ask where customers were. Partitions raised alone, by hand:
test_log_made_anew.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from support.broker import read_all
from support.priced_waves import priced, publish
from support.world import World
from tokenmeter.events import decode
from tokenmeter.events.contract import ACCOUNT_STATE, EVENTS, LEDGER, PAGES
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.groups import LOAD
from tokenmeter.flow.load.topics import require_loaded_here
from tokenmeter.flow.meter import MeterProcessor
from tokenmeter.flow.meter.recover import Recovery
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.kafka.partitioner import partition_of
from tokenmeter.ops.reconcile import Sources
from tokenmeter.ops.reconcile import run as reconcile
from tokenmeter.stack import grow as growing
from tokenmeter.stack.grow import grow
from tokenmeter.store.migrate import migrate

BEFORE, AFTER, WAVE, AGAIN = 4, 8, 300, 120
KINDS = ("meter", "ledger", "load")


def start(world: World) -> None:
    """Workers that keep their folders."""
    for kind in KINDS:
        world.worker(kind, kind)


def settle(world: World) -> None:
    for kind in KINDS:
        world.wait_read(kind)


def again(world: World, count: int) -> None:
    """Some calls of each wave once more."""
    chosen = [*world.waves.sent[:count], *world.waves.sent[WAVE : WAVE + count]]
    world.send(chosen)
    world.waves.repeated += len(chosen)


def off_balance(world: World) -> list[str]:
    """Accounts whose state is not the sum of their entries."""
    sums: Counter[str] = Counter()
    for record in read_all(world.bootstrap, LEDGER):
        entry = decode(record.value).record
        if entry["scope"] is None:
            sums[entry["account_id"]] += entry["amount"]
    states = {}
    for record in read_all(world.bootstrap, ACCOUNT_STATE):
        state = decode(record.value).record
        states[state["account_id"]] = state["balance"]
    assert states
    return [name for name, total in sums.items() if states.get(name, Decimal(0)) != total]


def test_usage_events_grows_and_every_figure_stays_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with World.begun(tmp_path, BEFORE, clickhouse=True) as world:
        publish(world.bootstrap, *priced())
        grows(world, monkeypatch)


def grows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.waves.wave(WAVE)
    start(world)
    settle(world)
    with pytest.raises(Misconfigured, match="workers read this Kafka"):
        grow(world.client, AFTER, 0, print, session_s=0)
    world.stop()
    world.waves.wave(WAVE)
    for wrong in (BEFORE, 6):
        with pytest.raises(Misconfigured, match="it cannot grow to"):
            grow(world.client, wrong, 0, print, session_s=120)

    interrupt(world, monkeypatch)
    done = grow(world.client, AFTER, 0, print)
    assert (done.partitions_before, done.partitions, len(done.first_offsets)) == (BEFORE, AFTER, BEFORE)
    again(world, AGAIN)
    world.waves.wave(WAVE)
    moved = [one.customer_id for one in world.waves.sent if partition_of(one.customer_id, AFTER) >= BEFORE]
    new = sum(one.customer_id in set(moved) for one in world.waves.sent[2 * WAVE :])
    log = KafkaLogReader(world.client)
    assert sum(fresh(log, partition) for partition in range(BEFORE, AFTER)) == new
    with monkeypatch.context() as forgetful:
        forgetful.setattr(Recovery, "_inherit", lambda *_: None)
        assert sum(fresh(log, partition) for partition in range(BEFORE, AFTER)) > new + AGAIN // 2

    start(world)
    settle(world)
    assert world.check().problems() == []
    assert off_balance(world) == []
    report = world.audit(processes=1)
    assert report.ok, report.differences
    assert (report.misrouted, report.foreign, report.passes(strict=True)) == (0, [], True), report.lines()
    assert report.events == 3 * WAVE
    assert report.duplicates == world.waves.repeated
    require_loaded_here(world.store, world.client, LOAD.id, (EVENTS, PAGES))
    corrected = reconcile(Sources(world.client, world.store), full=True)
    assert (corrected.ok, corrected.outstanding) == (True, 0), corrected.as_dict()
    for name, answer, partition in (("stretches", list, BEFORE), ("eras", tuple, 0)):
        with monkeypatch.context() as forgetful:
            forgetful.setattr(import_module("tokenmeter.audit.run"), name, lambda *_, answer=answer: answer())
            assert not world.audit(clickhouse=False, processes=1, partitions=[partition]).ok, (
                f"an audit without {name} is content"
            )

    world.stop()  # a loader that runs would note its topics in the new databases
    for database in ("tokenmeter", "boards"):
        world.store.command(f"DROP DATABASE {database} SYNC")
    migrate(world.store)
    with pytest.raises(Misconfigured, match=f"{LOAD.id} has loaded .* into another one"):
        require_loaded_here(world.store, world.client, LOAD.id, (EVENTS, PAGES))


def interrupt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command dies before usage.events grows: no worker starts until it is run again, and for no other count."""
    with monkeypatch.context() as broken:

        def raised(client: object, log: object, topic: str, wanted: int) -> None:
            raise Fatal("the power is out")

        broken.setattr(growing, "_raise", raised)
        with pytest.raises(Fatal, match="power"):
            grow(world.client, AFTER, 0, print)
    meter = world.worker("meter", "meter")
    assert meter.wait_ended(120) not in (None, 0)
    assert f"tokenmeter topics grow {AFTER}" in meter.child.log_tail()
    with pytest.raises(Misconfigured, match=f"on its way to {AFTER}"):
        grow(world.client, 12, 0, print)


def fresh(log: KafkaLogReader, partition: int) -> int:
    """How many events a meter would count on a new partition."""
    meter = MeterProcessor(partition, log, lambda: datetime.now(UTC), "counting")
    meter.restore(0)
    end = log.end(EVENTS, partition)
    for batch in log.read(EVENTS, partition, 0, end):
        meter.add(batch)
    (page,) = next(one.values for one in meter.close(PageBounds(EVENTS, partition, 0, end)) if one.topic == PAGES)
    events: int = decode(page).record["events"]
    return events
