"""The engine over an in-memory broker: what it admits, when it closes, and what a revoke does to a page in hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from support.memory_log import TOPIC, Broker, MemoryDriver, Owner, Pass, batch
from tokenmeter.events.errors import Fatal, Fenced
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.engine import Closed, Engine
from tokenmeter.flow.page.page import Demand, PageLimits

LIMITS = PageLimits(seconds=5, events=4, bytes=1 << 20, demand_interval_s=0.2)


class Rig:
    """An engine with a clock of its own and a record of what happened."""

    def __init__(
        self,
        broker: Broker | None = None,
        before: Callable[[steps.Effect], None] = lambda e: None,
        passing: type[Pass] = Pass,
    ) -> None:
        self.broker = broker or Broker(position=0)
        self.now = 100.0
        self.failures: list[BaseException] = []
        self.closed: list[Closed] = []
        self.drivers: list[MemoryDriver] = []

        def make(topic: str, partition: int) -> tuple[Owner, Pass]:
            processor = passing()
            self.drivers.append(MemoryDriver(self.broker))
            return Owner(self.drivers[-1], processor, before), processor

        self.engine = Engine(make, LIMITS, lambda: self.now, self.failures.append, self.closed.append)


def test_a_page_closes_by_size_by_age_without_traffic_and_on_demand() -> None:
    async def main() -> Rig:
        rig = Rig()
        await rig.engine.add(batch(0, 4))
        assert rig.broker.position == 4, "by size"
        await rig.engine.add(batch(4, 6))
        await rig.engine.close_due()
        assert rig.broker.position == 4, "not yet"
        rig.now += 5
        await rig.engine.close_due()
        assert rig.broker.position == 6, "by age, though nothing came"
        rig.now += 1
        await rig.engine.add(batch(6, 7, [b"close"]))
        assert rig.broker.position == 7, "on demand"
        await rig.engine.add(batch(7, 8, [b"close"]))
        assert rig.broker.position == 7, "not again within the interval"
        rig.now += 0.2
        await rig.engine.close_due()
        await rig.engine.stop()
        return rig

    rig = asyncio.run(main())
    assert rig.broker.committed == list(range(8))
    assert rig.failures == []
    assert [str(page.bounds) for page in rig.closed][:2] == [f"page {TOPIC}/0@[0,3]", f"page {TOPIC}/0@[4,5]"]


class Timed(Pass):
    """Time passes for it: each time it is told it has something to write, until it has been told twice."""

    told = 0

    def pass_time(self) -> Demand:
        self.told += 1
        self.offsets = [-self.told]
        return Demand.CLOSE if self.told <= 2 else Demand.NOTHING


def test_time_passes_for_a_caught_up_partition_though_nothing_ever_came() -> None:
    async def main() -> Rig:
        rig = Rig(Broker(position=3), passing=Timed)
        await rig.engine.take(TOPIC, 0, 5, lambda: True)
        await rig.engine.close_due()
        assert rig.broker.committed == [], "two offsets are not read yet"
        rig.now += 5
        await rig.engine.add(batch(3, 5))
        await rig.engine.close_due()
        rig.now += 5
        await rig.engine.close_due()
        assert rig.broker.committed == [3, 4], "a page is closed first"
        for _ in range(4):
            rig.now += 1
            await rig.engine.close_due()
            await rig.engine.close_due()
        await rig.engine.stop()
        return rig

    rig = asyncio.run(main())
    assert rig.failures == []
    assert rig.broker.committed == [3, 4, -1, -2], "once a second, and a page only for what there is"
    assert rig.broker.position == 5
    assert [page.bounds.next_offset - page.bounds.first_offset for page in rig.closed] == [2, 0, 0]


def test_a_partition_that_was_taken_away_meanwhile_is_not_owned() -> None:
    async def main() -> Rig:
        rig = Rig(passing=Timed)
        await rig.engine.take(TOPIC, 0, 0, lambda: False)
        assert rig.engine.owners == []
        return rig

    assert asyncio.run(main()).drivers == []


def test_stale_batches_are_skipped_or_trimmed_and_old_generations_are_not_counted() -> None:
    async def main() -> Rig:
        rig = Rig(Broker(position=3))
        await rig.engine.add(batch(0, 2))
        await rig.engine.add(batch(2, 6))
        await rig.engine.add(batch(2, 6))
        await rig.engine.add(batch(6, 8), lambda: False)
        rig.now += 5
        await rig.engine.close_due()
        await rig.engine.stop()
        return rig

    rig = asyncio.run(main())
    assert rig.broker.committed == [3, 4, 5]
    assert rig.failures == []


def test_a_gap_ends_the_process_unless_retention_made_it_and_then_it_is_counted() -> None:
    async def main(log_start: int) -> Rig:
        rig = Rig(Broker(position=2, log_start=log_start))
        await rig.engine.add(batch(6, 10))
        await rig.engine.stop()
        return rig

    wrong = asyncio.run(main(0))
    assert [type(error) for error in wrong.failures] == [Fatal]
    assert wrong.broker.committed == []
    removed = asyncio.run(main(6))
    assert removed.failures == []
    assert removed.broker.committed == [6, 7, 8, 9]
    assert [page.bounds.lost for page in removed.closed] == [4]


def test_what_retention_took_before_anything_was_ever_committed_is_counted_and_so_is_a_gap_with_nothing_behind() -> (
    None
):
    async def main() -> Rig:
        rig = Rig(Broker(log_start=6))
        await rig.engine.add(batch(6, 8))
        rig.broker.log_start = 12
        await rig.engine.add(batch(12, 12))  # the fetch position jumped, and no record follows
        rig.now += 5
        await rig.engine.close_due()
        assert rig.broker.position == 12
        await rig.engine.stop()
        again = Rig(rig.broker)  # a restart remembers
        await again.engine.add(batch(12, 16))
        assert [owner.lost for owner in again.engine.owners] == [6 + 4]
        await again.engine.stop()
        return rig

    rig = asyncio.run(main())
    assert rig.failures == []
    assert rig.broker.committed == [6, 7, 12, 13, 14, 15]
    assert rig.broker.lost == 6 + 4


def test_a_revoke_in_the_middle_of_a_close_waits_for_it_and_drops_what_came_after() -> None:
    closing, may_go_on = threading.Event(), threading.Event()

    def before(effect: steps.Effect) -> None:
        if isinstance(effect, steps.Commit):
            closing.set()
            assert may_go_on.wait(30)

    async def main() -> Rig:
        rig = Rig(before=before)
        adding = asyncio.create_task(rig.engine.add(batch(0, 4)))
        assert await asyncio.to_thread(closing.wait, 30)
        late = asyncio.create_task(rig.engine.add(batch(4, 6)))
        revoking = asyncio.create_task(rig.engine.revoke([(TOPIC, 0)]))
        await asyncio.sleep(0)
        assert not revoking.done()
        may_go_on.set()
        await asyncio.gather(adding, late, revoking)
        return rig

    rig = asyncio.run(main())
    assert rig.broker.committed == [0, 1, 2, 3]
    assert rig.drivers[0].dropped
    assert rig.engine.owners == []
    assert rig.failures == []


def test_an_owner_that_was_fenced_ends_the_process() -> None:
    async def main() -> Rig:
        rig = Rig()
        await rig.engine.add(batch(0, 2))
        rig.broker.epoch += 1  # somebody else has fenced this partition
        await rig.engine.add(batch(2, 4))
        await rig.engine.stop()
        return rig

    rig = asyncio.run(main())
    assert [type(error) for error in rig.failures] == [Fenced]
    assert rig.broker.committed == []
