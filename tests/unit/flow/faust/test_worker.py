"""A worker that begins takes its partitions side by side, before any batch has had its turn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types.tuples import TP

from support.memory_log import Pass
from tokenmeter.flow.faust import worker as worker_module
from tokenmeter.flow.faust.config import WorkerConfig
from tokenmeter.flow.faust.worker import Worker
from tokenmeter.flow.page import steps
from tokenmeter.flow.page.page import Processor

TOPIC, WAIT_S = "lines", 20.0
WAITING = [TP(TOPIC, number) for number in range(8)]
IDLE, UNKNOWN, ANOTHERS = TP(TOPIC, 8), TP(TOPIC, 9), TP("faust-own", 0)


class Fencing:
    """Its fence returns once as many others are at theirs."""

    def __init__(self, fences: Barrier) -> None:
        self._fences = fences

    def perform(self, effect: steps.Effect) -> Any:
        if isinstance(effect, steps.Fence):
            self._fences.wait(WAIT_S)
        return steps.Position(5) if isinstance(effect, steps.ReadPosition) else None

    def drop(self) -> None:
        """Nothing is held."""


def begun(folder: Path, clocked: bool, together: int) -> tuple[Worker, SimpleNamespace]:
    """A worker that has not been given a batch, and what it has for a consumer."""
    fences = Barrier(together)

    def make_performer(config: WorkerConfig, topic: str, partition: int, processor: Processor) -> Fencing:
        return Fencing(fences)

    config = WorkerConfig("app", "k:9092", (TOPIC,), folder, clocked=clocked, threads=together)
    worker = Worker(config, lambda topic, partition: Pass(), make_performer)
    highest = {**dict.fromkeys(WAITING, 9), IDLE: 5, ANOTHERS: 9}
    consumer = SimpleNamespace(assignment=lambda: {*highest, UNKNOWN}, highwater=highest.get, begun=lambda partition: 5)
    worker.app = SimpleNamespace(consumer=consumer, batch_topics=frozenset({TOPIC}), rebalancing=False)  # type: ignore[assignment]
    return worker, consumer


def owned(worker: Worker) -> set[int]:
    asyncio.run(worker._take_early())
    return {owner.partition for owner in worker.engine.owners if owner.ready}


@pytest.fixture(autouse=True)
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: BaseException) -> None:
        raise error

    monkeypatch.setattr(worker_module, "die", fail)


def test_partitions_in_which_something_waits_are_taken_all_at_once_and_once(tmp_path: Path) -> None:
    worker, _ = begun(tmp_path, clocked=False, together=len(WAITING))
    for _ in range(2):
        assert owned(worker) == {tp.partition for tp in WAITING}


def test_an_app_for_which_time_passes_takes_the_idle_ones_too(tmp_path: Path) -> None:
    worker, _ = begun(tmp_path, clocked=True, together=len(WAITING) + 1)
    assert owned(worker) == {tp.partition for tp in (*WAITING, IDLE)}


def test_nothing_is_taken_while_partitions_change_hands_and_what_was_is_given_up(tmp_path: Path) -> None:
    worker, consumer = begun(tmp_path, clocked=False, together=len(WAITING))
    worker.app.rebalancing = True
    assert owned(worker) == set()
    worker.app.rebalancing = False
    assert owned(worker) == {tp.partition for tp in WAITING}
    consumer.assignment = lambda: {*WAITING[:3]}
    assert owned(worker) == {tp.partition for tp in WAITING[:3]}
