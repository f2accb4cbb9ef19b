"""A stranger's open transaction holds a partition up: the worker says whose it is and waits, for no restart ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from faust.types.tuples import TP

from tokenmeter.events.contract import EVENTS
from tokenmeter.flow.page.blocked import BLOCKED_LOOK_S, BLOCKED_S, Blocked, OpenTransaction

HELD = OpenTransaction(EVENTS, 1, 7, 42, 0)


def answering(*answers: OpenTransaction | None) -> tuple[Callable[[TP], Awaitable[OpenTransaction | None]], list[TP]]:
    asked: list[TP] = []

    async def ask(tp: TP) -> OpenTransaction | None:
        asked.append(tp)
        return answers[min(len(asked), len(answers)) - 1]

    return ask, asked


def test_the_sentence_names_the_producer_since_when_and_what_to_do() -> None:
    said = str(HELD)
    assert "producer 42 has had a transaction open there since 1970-01-01 00:00:00 UTC" in said
    assert "abort --topic usage.events --partition 1 --start-offset 7" in said


def test_it_is_asked_of_what_waits_only_and_not_all_the_time(caplog: pytest.LogCaptureFixture) -> None:
    blocked, tp = Blocked(), TP(EVENTS, 1)
    ask, asked = answering(HELD)

    async def wait() -> list[bool]:
        return [await blocked.look(tp, float(now), float(now), ask) for now in range(100)]

    held = asyncio.run(wait())
    assert held == [now >= BLOCKED_S for now in range(100)]
    assert len(asked) == (100 - BLOCKED_S) / BLOCKED_LOOK_S
    assert blocked.told() == [str(HELD)]
    assert [record.message for record in caplog.records] == [str(HELD)], "told once, and not at every look"
    blocked.forget([])
    assert blocked.told() == []


def test_a_partition_that_stands_still_for_its_own_reasons_is_not_excused() -> None:
    """The control: the watchdog ends that worker as before."""
    blocked, tp = Blocked(), TP(EVENTS, 1)
    ask, _ = answering(HELD, None)

    async def wait() -> list[bool]:
        return [await blocked.look(tp, BLOCKED_S, now, ask) for now in (0.0, BLOCKED_LOOK_S)]

    assert asyncio.run(wait()) == [True, False]
    assert blocked.told() == []
