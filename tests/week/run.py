"""Carries out a plan on a stack under load, and judges what is there afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from support import owed
from support.catalog_rows import price
from support.oracle import Verdict
from tokenmeter.audit.charges import Charges
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.prices.proposed import Place, Proposed
from tokenmeter.stack.prices.reader import read_catalog
from tokenmeter.stack.prices.writer import publish
from tokenmeter.store.client import connect
from week.customers import Customers
from week.hands import Hands
from week.plan import DISK, STORES, WORKERS, Round, disturbed
from week.reading import of_store, of_topics
from week.report import Week
from week.signs import Signs
from week.stack import UsersStack
from week.verdict import Found, Sent, judge, total
from week.watchers import Watchers

BACK_WITHIN_S = 120.0
"""Then it is said never to have come back."""
SETTLE_S = 900.0
"""On a busy machine the loader, which stands back, is minutes behind."""
POLL_S = 0.1
PRICES = [
    price(model, 1_000_003 * number, book="list") for number, model in enumerate(("a/one", "b/two", "c/drei-ß"), 1)
]
Say = Callable[[str], None]


class World:
    """A stack that runs, traffic on it, and who looks at it."""

    def __init__(self, stack: UsersStack, traffic: Customers, signs: Signs, watched: Sequence[str]) -> None:
        self.stack, self.traffic, self.signs = stack, traffic, signs
        self._watched = [*watched]
        self.hands = Hands(stack, traffic)
        self.week = Week()

    def round(self, actions: Round) -> None:
        """Do them one after the other, then wait until every part works."""
        self.traffic.check()
        ended = [(action, self.hands.do(action)) for action in actions]
        last = dict.fromkeys(self._watched, time.monotonic())
        last |= {part: since for action, since in sorted(ended, key=itemgetter(1)) for part in disturbed(action)}
        for action, _ in ended:  # who was disturbed twice can be back after the second time only
            parts = disturbed(action)
            took = {part: self._back(part, last[part]) for part in parts}
            if (
                action.part in ("kafka", DISK) and (kafka := took["kafka"]) is not None
            ):  # those who need it, from when it was there
                took |= {part: max(0.0, s - kafka) for part in parts[1:] if (s := took[part]) is not None}
            self.week.backs.append((action, took))
        for part in self._watched:
            self._back(part, last[part])
        self.week.sample(self.stack.held(), len(self.traffic.acknowledged))

    def _back(self, part: str, since: float) -> float | None:
        while (at := self.signs.back_at(part, since)) is None:
            if time.monotonic() > since + BACK_WITHIN_S:
                return None
            time.sleep(POLL_S)
        return at - since

    def settle(self, within_s: float = SETTLE_S) -> dict[str, Verdict]:
        """End the traffic and compare, again and again until all agrees or ``within_s`` have passed."""
        self.traffic.stop()
        client = self.stack.client
        charges = Charges(read_catalog(KafkaLogReader(client)).rows)
        amounts = owed.expected(self.traffic.acknowledged, charges)
        known = {event.customer_id: amounts["charge", event.customer_id] for event in self.traffic.acknowledged}
        sent = Sent(known, frozenset(event.customer_id for event in self.traffic.ahead))
        deadline = time.monotonic() + within_s
        while True:
            verdicts = judge(sent, self._found(client))
            if not total(verdicts).problems() or time.monotonic() > deadline:
                return verdicts
            time.sleep(10 * POLL_S)

    def _found(self, client: dict[str, object]) -> Found:
        part = self.stack.parts["clickhouse"]
        topics, store = of_topics(client), of_store(connect(part.url or "", part.user or "", part.password or ""))
        return Found(topics.log, topics.calls | store.calls, topics.money | store.money, topics.aside | store.aside)


@contextmanager
def world(stack: UsersStack, spool: Path, superset: bool = False) -> Iterator[World]:
    """Begin the stack and the load; all of it has ended afterwards."""
    stack.up()
    try:
        client = stack.client
        publish(client, lambda known: [Proposed(row, Place("the week")) for row in PRICES])
        signs = Signs()
        bootstrap = str(client.pop("bootstrap.servers"))
        traffic = Customers(
            lambda: stack.parts["gateway"].url or "",
            bootstrap,
            client,
            spool,
            lambda began, at: signs.answered("gateway", began, at),
        )
        names = ["clickhouse", *WORKERS, *(["superset"] if superset else [])]
        watchers = Watchers(stack, signs, names)
        made = World(stack, traffic, signs, [*STORES, "gateway", *names[1:]])
        traffic.start()
        watchers.start()
        try:
            made.round(())
            yield made
        finally:
            watchers.stop()
    finally:
        stack.down()
