"""Processes that do shares of an audit: ``python -m tokenmeter.audit``, tasks on standard input.

They are started this way and not forked, so that they import little and inherit no client. Messages are pickled to
standard output: ("progress", records), then ("done", result) or ("failed", message, hint).
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import IO, Any

from tokenmeter.audit.ledger.states import StatesTask, audit_states
from tokenmeter.audit.linestore import KEPT, Kept, keep
from tokenmeter.audit.partition import AuditSources, PartitionTask, audit_partition, connected
from tokenmeter.audit.sources import KafkaTopics
from tokenmeter.events.errors import Fatal, TokenmeterError

Advance = Callable[[int], None]
COLLECT_AFTER_OBJECTS = 500_000
"""Cycles are rare here, and Kafka's client makes an object a record: by Python's own measure a ninth of the CPU went
into looking for them."""


@dataclass(frozen=True)
class LinesTask:
    """Read these partitions of the topics of lines and entries (of a record, partition, offset to begin at), and keep
    what they hold in ``folder``."""

    wanted: Sequence[tuple[str, int, int]]
    folder: Path


Task = LinesTask | PartitionTask | StatesTask


def perform(sources: AuditSources, task: Task, advance: Advance) -> Any:
    """Do one task in this process."""
    if isinstance(task, PartitionTask):
        return audit_partition(sources, task, advance)
    kafka, kept = KafkaTopics(sources.client), Kept()
    if isinstance(task, StatesTask):
        return audit_states(kafka, connected(sources), task)
    for record, partition, start in task.wanted:
        path = task.folder / f"{record}-{partition}.lines"
        keep(record, partition, kafka.read(KEPT[record], partition, start), path, kept)
    return kept


class Workers:
    """``processes`` of them, started at once and kept until the block ends. One is this process."""

    def __init__(self, sources: AuditSources, processes: int) -> None:
        self._sources = sources
        self._processes = processes
        self._running: list[subprocess.Popen[bytes]] = []
        self._idle: Queue[subprocess.Popen[bytes]] = Queue()

    def __enter__(self) -> Workers:
        for _ in range(self._processes if self._processes > 1 else 0):
            command = [sys.executable, "-m", "tokenmeter.audit"]
            self._running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            self._idle.put(self._running[-1])
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running:
            process.kill()
            process.communicate()

    def perform(self, tasks: Sequence[Task], advance: Advance) -> list[Any]:
        """Do every task; results in the order of the tasks. Raises what a task raised."""
        if not self._running:
            return [perform(self._sources, task, advance) for task in tasks]
        with ThreadPoolExecutor(len(self._running)) as pool:
            try:
                return list(pool.map(lambda task: self._one(task, advance), tasks))
            except BaseException:
                self.__exit__()  # what still runs would be waited for
                raise

    def _one(self, task: Task, advance: Advance) -> Any:
        process = self._idle.get()
        try:
            assert process.stdin is not None and process.stdout is not None
            pickle.dump((self._sources, task), process.stdin)
            process.stdin.flush()
            return _result(process.stdout, advance)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise Fatal("a process of the audit ended without an answer", hint="run the audit again") from error
        finally:
            self._idle.put(process)


def _result(messages: IO[bytes], advance: Advance) -> Any:
    while True:
        match pickle.load(messages):
            case ("progress", records):
                advance(records)
            case ("failed", text, hint):
                raise Fatal(text, hint=hint)
            case ("done", result):
                return result


def serve() -> None:
    """Do tasks until there are no more. Whatever libraries print goes to standard error."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(*message: Any) -> None:
        pickle.dump(message, out)
        out.flush()

    while True:
        try:
            sources, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            say("done", perform(sources, task, lambda records: say("progress", records)))
        except TokenmeterError as error:
            say("failed", error.message, error.hint)
