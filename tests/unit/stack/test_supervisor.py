"""A part that keeps dying stops alone, is tried again ever more slowly and said to have failed; the rest runs on."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import eventually
from tokenmeter.stack.children import Child
from tokenmeter.stack.restarts import (
    FAILED,
    FAILED_DEATHS,
    QUICK_S,
    RESTART_PAUSE_MAX_S,
    RESTART_PAUSE_S,
    RESTARTING,
    RUNNING,
    STEADY_S,
    Restarts,
)
from tokenmeter.stack.state import PARENT, Part, Stack
from tokenmeter.stack.status.look import look
from tokenmeter.stack.status.shown import is_well
from tokenmeter.stack.supervisor import OWN_PAUSE_MAX_S, STOPPED_MAX_S, UNHEARD_MAX_S, Supervisor, part_of

DIES = ["/bin/sh", "-c", "echo all was well; echo no page for me; exit 3"]


def test_pauses_grow_to_their_bound_and_a_steady_part_begins_again() -> None:
    restarts, now, pauses = Restarts(), 0.0, []
    restarts.started("a", now)
    for _ in range(8):
        pauses.append(restarts.ended("a", now, "x"))
        assert restarts.due(now + pauses[-1] - 0.001) == []
        now += pauses[-1]
        assert restarts.due(now) == ["a"]
        restarts.started("a", now)
    assert pauses[:5] == [1, 2, 4, 8, 16] and pauses[-1] == RESTART_PAUSE_MAX_S
    assert restarts.ended("a", now + STEADY_S, "x") == RESTART_PAUSE_S


def test_a_part_that_worked_for_a_while_is_soon_back_and_still_said_to_have_failed() -> None:
    restarts, now, pauses = Restarts(), 0.0, []
    for _ in range(FAILED_DEATHS):
        restarts.started("a", now)
        pauses.append(restarts.ended("a", now + QUICK_S, "x"))
        now += QUICK_S + pauses[-1]
    assert pauses == [RESTART_PAUSE_S] * FAILED_DEATHS
    assert restarts.state("a")[0] == FAILED


def test_it_has_failed_after_some_deaths_in_a_row_and_not_after_one() -> None:
    restarts, states = Restarts(), []
    restarts.started("a", 0)
    for number in range(FAILED_DEATHS):
        restarts.ended("a", 100 * number, "why")
        states.append(restarts.state("a")[0])
        if number < FAILED_DEATHS - 1:
            restarts.started("a", 100 * number + 99)
    assert states == [RESTARTING] * (FAILED_DEATHS - 1) + [FAILED]
    assert restarts.state("a")[1].endswith("why")
    restarts.hurry(["a", "unknown"], 1_000)
    assert restarts.due(1_000 + RESTART_PAUSE_S) == ["a"]


class Parts:
    """A stack of children of this test; its clock is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 0.0
        self.children: dict[str, Child] = {}
        self.stack, self.said = Stack({PARENT: Part("running", os.getpid())}), list[str]()
        self.supervisor = Supervisor(self.children, self.stack, folder, self.said.append, lambda: self.now)

    def start(self, name: str, command: list[str]) -> Child:
        child = Child(name, command, self.folder / f"{name}.log")
        child.start()
        self.children[name] = child
        self.stack.parts[name] = part_of(child, "http://127.0.0.1:1", None, None)
        self.supervisor.started(name)
        self.supervisor.keep()
        return child

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 1
            self.supervisor.look()

    def part(self, name: str) -> Part:
        return Stack.load(self.folder).parts[name]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path)
    try:
        yield made
    finally:
        for child in made.children.values():
            child.kill()


def test_one_that_keeps_dying_is_shown_as_failed_with_its_last_line_and_the_other_runs_on(parts: Parts) -> None:
    other = parts.start("gateway", SLEEPS_FOR_EVER)
    pid = other.pid
    dying = parts.start("load", DIES)

    def failed() -> bool:
        parts.pass_time(1)
        return parts.part("load").state == FAILED

    eventually("it has failed", failed, 120)
    assert parts.part("load").said.endswith("ended with 3: no page for me")
    assert parts.part("load").restarts >= FAILED_DEATHS - 1
    assert (other.pid, other.is_alive(), parts.part("gateway").state) == (pid, True, RUNNING)
    looks = look(Stack({name: parts.part(name) for name in (PARENT, "load")}))
    assert looks["load"].ok is False and looks["load"].said.startswith("failed: 3 times in a row")
    assert not is_well(parts.stack, looks)
    before = parts.part("load").restarts
    dying._command = SLEEPS_FOR_EVER  # it was mended
    parts.pass_time(RESTART_PAUSE_MAX_S + 1)
    assert (parts.part("load").state, parts.part("load").restarts) == (RUNNING, before + 1)


SLEEPS_FOR_EVER = [sys.executable, "-c", "import signal; signal.pause()"]


def test_a_stopped_part_is_ended_and_started_again(parts: Parts) -> None:
    child = parts.start("meter", SLEEPS_FOR_EVER)
    before = child.pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    eventually("it is stopped", lambda: Path(f"/proc/{before}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    parts.pass_time(STOPPED_MAX_S - 1)
    assert child.pid == before and child.is_alive(), "a short stop is nobody's concern"
    parts.pass_time(5)
    assert child.pid != before and child.is_alive()
    assert "was stopped by a signal" in parts.said[0]
    assert parts.part("meter").restarts == 1


def test_one_that_stopped_answering_is_ended_but_not_by_a_supervisor_that_was_stopped_itself(parts: Parts) -> None:
    child = parts.start("meter", SLEEPS_FOR_EVER)
    before = child.pid
    parts.pass_time(UNHEARD_MAX_S + 5)
    assert child.pid == before, "it never answered yet: it may be starting"
    parts.supervisor._heard_at["meter"] = parts.now
    parts.now += UNHEARD_MAX_S + OWN_PAUSE_MAX_S + 1
    parts.supervisor.look()
    assert child.pid == before and child.is_alive()
    parts.supervisor._heard_at["meter"] = parts.now
    parts.pass_time(UNHEARD_MAX_S + 5)
    assert child.pid != before and child.is_alive()


def test_what_waited_for_kafka_is_tried_at_once_when_kafka_is_back(parts: Parts) -> None:
    kafka, meter = parts.start("kafka", SLEEPS_FOR_EVER), parts.start("meter", DIES)

    def failed() -> bool:
        parts.pass_time(1)
        return parts.part("meter").state == FAILED

    eventually("the meter has failed", failed, 120)
    kafka.kill()
    meter._command = SLEEPS_FOR_EVER
    parts.pass_time(2 + 2 * RESTART_PAUSE_S)
    assert kafka.is_alive() and meter.is_alive()


def test_a_full_disk_ends_nobody_and_is_said_once(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    child = parts.start("load", SLEEPS_FOR_EVER)

    def full(stack: Stack, data: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Stack, "save", full)
        child.kill()
        parts.pass_time(5)
        assert child.is_alive()
        assert [line for line in parts.said if "No space left" in line] == parts.said[1:2]
    parts.pass_time(1)
    assert parts.part("load").state == RUNNING


def test_one_that_cannot_be_started_is_tried_again(parts: Parts) -> None:
    child = parts.start("load", SLEEPS_FOR_EVER)
    child.kill()
    child.log = parts.folder / "missing" / "\0"
    with pytest.raises(ValueError):
        child.log.open("ab")
    child.log = parts.folder  # a directory: a log that cannot be opened
    parts.pass_time(3)
    assert "cannot be started" in parts.part("load").said
    child.log = parts.folder / "load.log"
    parts.pass_time(RESTART_PAUSE_MAX_S)
    assert child.is_alive()
