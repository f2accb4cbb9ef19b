"""A process that does one share of an audit: ``python -m tokenmeter.stack.audit.worker``, a task on its standard input.

Processes are started this way and not forked, so that they import little and inherit no client. Messages are pickled
to standard output: ("progress", records), then ("done", result) or ("failed", message, hint).
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tokenmeter.events.errors import Fatal, TokenmeterError
from tokenmeter.stack.audit.compare import TOPICS
from tokenmeter.stack.audit.linestore import Kept, keep
from tokenmeter.stack.audit.partition import AuditSources, PartitionTask, audit_partition
from tokenmeter.stack.audit.recount import LineKind
from tokenmeter.stack.audit.sources import KafkaTopics

Advance = Callable[[int], None]


@dataclass(frozen=True)
class LinesTask:
    """Read these partitions of the line topics from an offset on, and keep what they hold in ``folder``."""

    wanted: Sequence[tuple[LineKind, int, int]]
    folder: Path


def perform(sources: AuditSources, task: LinesTask | PartitionTask, advance: Advance) -> Any:
    """Do one task in this process."""
    if isinstance(task, PartitionTask):
        return audit_partition(sources, task, advance)
    kafka, kept = KafkaTopics(sources.client), Kept()
    for kind, partition, start in task.wanted:
        path = task.folder / f"{kind.record}-{partition}.lines"
        keep(kind, partition, kafka.read(TOPICS[kind], partition, start), path, kept)
    return kept


def perform_all(
    sources: AuditSources, tasks: Sequence[LinesTask | PartitionTask], advance: Advance, processes: int
) -> list[Any]:
    """Do every task, ``processes`` at a time; results in the order of the tasks. Raises what a task raised."""
    running: list[subprocess.Popen[bytes]] = []

    def one(task: LinesTask | PartitionTask) -> Any:
        command = [sys.executable, "-m", "tokenmeter.stack.audit.worker"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            running.append(process)
            assert process.stdin is not None and process.stdout is not None
            pickle.dump((sources, task), process.stdin)
            process.stdin.close()
            return _result(process.stdout, advance)

    with ThreadPoolExecutor(max(1, min(processes, len(tasks)))) as pool:
        try:
            return list(pool.map(one, tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.kill()
            raise


def _result(messages: IO[bytes], advance: Advance) -> Any:
    while True:
        try:
            message = pickle.load(messages)
        except EOFError:
            raise Fatal("a process of the audit ended without an answer", hint="run the audit again") from None
        match message:
            case ("progress", records):
                advance(records)
            case ("failed", text, hint):
                raise Fatal(text, hint=hint)
            case ("done", result):
                return result


def main() -> None:
    """Serve one task. Whatever libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sources, task = pickle.load(sys.stdin.buffer)

    def say(*message: Any) -> None:
        pickle.dump(message, out)
        out.flush()

    try:
        say("done", perform(sources, task, lambda records: say("progress", records)))
    except TokenmeterError as error:
        say("failed", error.message, error.hint)


if __name__ == "__main__":
    main()
