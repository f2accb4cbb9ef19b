"""The smallest app on the page engine: how often each word was sent, kept on a compacted topic. A pattern to follow."""

from __future__ import annotations

from collections import Counter

from tokenmeter.flow.page.page import Demand, Outgoing, PageBounds
from tokenmeter.kafka.batch import RecordBatch
from tokenmeter.kafka.logreader import LogReader

WORDS, COUNTS = "words", "counts"


def counted(batch: RecordBatch) -> Counter[str]:
    """What records of COUNTS say; the last one of a word is its highest."""
    return Counter({word: int(n) for word, n in (value.decode().split() for value in batch.values if value)})


class Counting:
    """A page processor for a partition of WORDS; its state is the same partition of COUNTS: ``word count``."""

    def __init__(self, partition: int, log: LogReader) -> None:
        self._partition, self._log = partition, log
        self._counts: Counter[str] = Counter()
        self._page: Counter[str] = Counter()

    def restore(self, position: int) -> None:
        self._counts, self._page = Counter(), Counter()
        for batch in self._log.read(COUNTS, self._partition, 0, self._log.end(COUNTS, self._partition)):
            self._counts |= counted(batch)

    def add(self, batch: RecordBatch) -> Demand:
        self._page.update(value.decode() for value in batch.values if value)
        return Demand.NOTHING

    def close(self, bounds: PageBounds) -> list[Outgoing]:
        now = {word: self._counts[word] + n for word, n in self._page.items()}
        values = [f"{word} {n}".encode() for word, n in now.items()]
        return [Outgoing(COUNTS, [word.encode() for word in now], values, self._partition)]

    def committed(self, bounds: PageBounds) -> None:
        self._counts, self._page = self._counts + self._page, Counter()

    def remembered(self) -> int:
        return len(self._counts)
