"""The page engine: hands batches to the owners of their partitions and closes pages when they are due.

It knows nothing of tokens or transactions. Each owned partition has one owner and one batch at a time; blocking work
runs on worker threads, decisions on the event loop. Any error goes to ``on_failure``, which ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import Admission, Clocked, Demand, OpenPage, PageBounds, PageLimits, Processor, admit
from tokenmeter.flow.page.performer import Performs, run
from tokenmeter.kafka.batch import RecordBatch

log = logging.getLogger(__name__)

WORKER_THREADS = 4
FOLDS_MAX = 2
"""Batches decoded at once, whatever the partitions: a decoded batch is several times its bytes."""
TICK_S = 0.02
"""How often open pages are looked at, so that a page closes by age also when traffic has stopped."""
CLOCK_S = 1.0
"""How often a caught-up partition is told that time passes."""
REVOKE_WAIT_S = 40.0
"""A revoke waits this long for the page that is being closed; longer than any Kafka call of the driver."""

T = TypeVar("T")
Key = tuple[str, int]


@dataclass
class Owner:
    """One owned partition. ``position`` is the next offset to fold, ``committed`` the next to commit.

    ``lost`` counts the offsets that retention has ever removed unread; each is missing from what this app makes.
    """

    topic: str
    partition: int
    performer: Performs
    processor: Processor
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    position: int = 0
    committed: int = 0
    high_watermark: int = 0
    lost: int = 0
    page: OpenPage | None = None
    ready: bool = False
    revoked: bool = False
    closed_at: float = 0.0
    close_cpu_seconds: float = 0.0
    progressed_at: float = 0.0
    clocked: Clocked | None = None
    timed_at: float = 0.0

    @property
    def lag(self) -> int:
        """Offsets appended but not committed, as far as the last fetch knew; trailing markers need no commit."""
        return max(0, self.high_watermark - (self.position if self.page is None else self.committed))

    @property
    def behind(self) -> int:
        """Offsets appended but not folded, as far as the last fetch knew."""
        return max(0, self.high_watermark - self.position)


@dataclass(frozen=True)
class Closed:
    """A page that committed, for the metrics."""

    bounds: PageBounds
    events: int
    commit_seconds: float
    age_seconds: float


class Engine:
    """``make_owner`` gives a partition's performer and processor; ``clock`` is monotonic seconds, ``cpu`` those
    of a CPU that the thread has used."""

    def __init__(
        self,
        make_owner: Callable[[str, int], tuple[Performs, Processor]],
        limits: PageLimits,
        clock: Callable[[], float],
        on_failure: Callable[[BaseException], None],
        on_closed: Callable[[Closed], None] = lambda closed: None,
        threads: int = WORKER_THREADS,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._make_owner = make_owner
        self._limits = limits
        self._clock = clock
        self._cpu = cpu
        self._on_failure = on_failure
        self._on_closed = on_closed
        self._owners: dict[Key, Owner] = {}
        self._folds = asyncio.Semaphore(FOLDS_MAX)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="page")

    @property
    def owners(self) -> list[Owner]:
        """The partitions owned now."""
        return list(self._owners.values())

    async def add(self, batch: RecordBatch, is_current: Callable[[], bool] = lambda: True) -> None:
        """Fold one batch into its partition's page, taking the partition first if need be.

        ``is_current`` is asked under the partition's lock: a batch fetched before a rebalance must not be counted.
        """
        owner = self._owner((batch.topic, batch.partition), is_current)
        if owner is not None:
            async with owner.lock:
                await self._guard(lambda: self._fold(owner, batch, is_current))

    async def take(self, topic: str, partition: int, high_watermark: int, is_current: Callable[[], bool]) -> None:
        """Own a partition before its first batch, so that its time passes even if none ever comes."""
        owner = self._owner((topic, partition), is_current)
        if owner is not None:
            async with owner.lock:
                owner.high_watermark = max(owner.high_watermark, high_watermark)
                await self._guard(lambda: self._own(owner))

    async def close_due(self) -> None:
        """Close every page whose time has come; partitions busy with a batch look for themselves."""
        now = self._clock()
        free = [owner for owner in self._owners.values() if not owner.lock.locked()]
        due = [owner for owner in free if self._is_due(owner, now)]
        idle = [owner for owner in free if owner.clocked and owner.page is None and now - owner.timed_at >= CLOCK_S]
        await asyncio.gather(*(self._close_if_due(owner) for owner in due), *map(self._pass_time, idle))

    async def revoke(self, partitions: Iterable[Key]) -> None:
        """Drop the pages of these partitions. A page that is being closed may finish: its fate is the broker's."""
        await asyncio.gather(*(self._drop(key) for key in partitions if key in self._owners))

    async def stop(self) -> None:
        """Drop everything; nothing is committed that was not due."""
        await self.revoke(list(self._owners))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _owner(self, key: Key, is_current: Callable[[], bool]) -> Owner | None:
        owner = self._owners.get(key)
        if owner is not None or not is_current():
            return owner
        try:
            driver, processor = self._make_owner(*key)
        except Exception as error:
            self._on_failure(error)
            return None
        clocked = processor if isinstance(processor, Clocked) else None
        owner = Owner(*key, driver, processor, progressed_at=self._clock(), clocked=clocked)
        self._owners[key] = owner
        return owner

    async def _own(self, owner: Owner) -> None:
        if owner.ready or owner.revoked:
            return
        found: steps.Position = await self._steps(owner, steps.own())
        owner.position = owner.committed = found.next_offset
        owner.lost = found.lost
        owner.ready = True
        log.info("%s/%d: owned from offset %d", owner.topic, owner.partition, owner.position)

    async def _pass_time(self, owner: Owner) -> None:
        async with owner.lock:
            if owner.clocked is None or not owner.ready or owner.revoked or owner.page is not None or owner.behind:
                return
            owner.timed_at = self._clock()
            pass_time = owner.clocked.pass_time
            await self._guard(lambda: self._timed(owner, pass_time))

    async def _timed(self, owner: Owner, pass_time: Callable[[], Demand]) -> None:
        if await self._thread(pass_time) is Demand.CLOSE:
            owner.page = OpenPage(self._clock())
            await self._close(owner)

    async def _fold(self, owner: Owner, batch: RecordBatch, is_current: Callable[[], bool]) -> None:
        if owner.revoked or not is_current():
            return
        await self._own(owner)
        owner.high_watermark = max(owner.high_watermark, batch.high_watermark)
        lost = 0
        match admit(owner.position, batch.start_offset, batch.next_offset):
            case Admission.SKIP:
                return
            case Admission.TRIM:
                batch = batch.from_offset(owner.position)
            case Admission.GAP:
                gap = steps.cross_gap(owner.topic, owner.partition, owner.position, batch.start_offset)
                lost = await self._steps(owner, gap)
                owner.lost += lost
                log.critical(
                    "%s/%d: retention removed the offsets %d to %d before they were read; %d are lost by now. "
                    "Raise the topic's retention.ms or add workers; what is gone is not counted anywhere",
                    *(owner.topic, owner.partition, owner.position, batch.start_offset - 1, owner.lost),
                )
            case Admission.TAKE:
                pass
        owner.position = batch.next_offset
        if not len(batch) and not lost:
            return
        if owner.page is None:
            owner.page = OpenPage(self._clock())
        owner.page.lost += lost
        async with self._folds:
            demand = await self._thread(owner.processor.add, batch)
        owner.page.events += len(batch)
        owner.page.bytes += batch.bytes
        owner.page.demanded |= demand is Demand.CLOSE
        if self._is_due(owner, self._clock()):
            await self._close(owner)

    async def _close_if_due(self, owner: Owner) -> None:
        async with owner.lock:
            if not owner.revoked and self._is_due(owner, self._clock()):
                await self._guard(lambda: self._close(owner))

    def _is_due(self, owner: Owner, now: float) -> bool:
        return owner.page is not None and owner.page.is_due(
            now, owner.closed_at, owner.behind, self._limits, owner.close_cpu_seconds
        )

    async def _close(self, owner: Owner) -> None:
        page = owner.page
        if page is None or owner.revoked:
            return
        began = self._clock()
        lost_before = owner.lost - page.lost
        bounds = PageBounds(owner.topic, owner.partition, owner.committed, owner.position, page.lost, lost_before)
        owner.close_cpu_seconds = await self._thread(self._spent, steps.commit(bounds), owner.performer)
        owner.page = None
        owner.committed = owner.position
        owner.closed_at = owner.progressed_at = now = self._clock()
        self._on_closed(Closed(bounds, page.events, now - began, now - page.opened_at))

    async def _drop(self, key: Key) -> None:
        owner = self._owners.pop(key)
        owner.revoked = True
        try:
            async with asyncio.timeout(REVOKE_WAIT_S), owner.lock:
                await self._thread(owner.performer.drop)
        except TimeoutError as error:
            self._on_failure(error)
            return
        log.info("%s/%d: given up at offset %d", owner.topic, owner.partition, owner.committed)

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the work of an owner; its failure ends the process.

        Also when the partition was revoked meanwhile: only a meter frozen past its session is fenced by its successor,
        and what else it holds is as stale.
        """
        try:
            await work()
        except Exception as error:
            self._on_failure(error)

    async def _steps(self, owner: Owner, generator: steps.Steps) -> Any:
        return await self._thread(run, generator, owner.performer)

    def _spent(self, generator: steps.Steps, performer: Performs) -> float:
        """CPU seconds of this thread that the steps take: what others take meanwhile is no reason to wait for more."""
        began = self._cpu()
        run(generator, performer)
        return self._cpu() - began

    async def _thread(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
