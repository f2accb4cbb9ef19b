"""``tokenmeter rerate`` on real Kafka and the real ClickHouse engine: a wrong price is fixed after calls were metered.

Nothing that is metered changes by itself; the difference is shown, booked exactly, once, whatever is killed or runs
beside it. Expected figures are the audit's oracle's, from the calls that were sent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from support.broker import read_all
from support.catalog_rows import account, plan, price
from support.charged_lines import differing, in_clickhouse, on_topic, publish, wanted
from support.days import LONG_MS, TIMEOUT_S, Days, day, days
from support.workers import TESTS
from tokenmeter.audit.charges import Charges
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, RESALE
from tokenmeter.events.errors import Fenced
from tokenmeter.events.rating import pico
from tokenmeter.ops.reconcile.run import settle
from tokenmeter.ops.reconcile.sources import Positions
from tokenmeter.ops.rerate import Options, rerate
from tokenmeter.ops.rerate.booking import Booking
from tokenmeter.ops.rerate.moves import SOURCE

COMMAND = [sys.executable, "-m", "tokenmeter.cli.app", "rerate", "--since", "2020-01-01"]
TOPICS = (BILLING, MARKET, RESALE)
CALLS = 300


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Days]:
    with days(tmp_path, LONG_MS) as running:
        yield running


def wrong_book() -> list[CatalogRow]:
    """b/two has a tenth of its price, c/drei-ß none that is final; a distributor above some customers."""
    return [
        price("a/one", {"input_tokens": 3_000_000, "output_tokens": 15_000_000, "cached_input_tokens": 300_000}),
        price("b/two", {"input_tokens": 250_000, "output_tokens": 1_000_000, "requests": 7}),
        price("*", {"input_tokens": 1_000_000, "output_tokens": 1_000_000}, provisional=True, provider="p1"),
        price("*", {"input_tokens": 100_000, "output_tokens": 400_001}, book="cost"),
        plan("distributor", margin_ppm=-300_000),
        plan("dear", None, margin_ppm=55_000, byok_fee_ppm=50_000),
        account("boss", "distributor"),
        account("shared-0", "dear", "boss"),
        account("shared-1", "dear", "boss"),
    ]


def fix(hour: datetime) -> list[CatalogRow]:
    """The real price of b/two, with a tier and dearer from half past an hour on; one for c/drei-ß; another cost."""
    real = {"input_tokens": 2_500_000, "output_tokens": 10_000_000, "requests": 7}
    return [
        price("b/two", real),
        price("b/two", {name: 2 * unit for name, unit in real.items()}, min_input_tokens=50_000),
        price("b/two", {name: 3 * unit for name, unit in real.items()}, effective_from=hour.replace(minute=30)),
        price("c/*", {"input_tokens": 123_457, "output_tokens": 7}),
        price("b/two", {"input_tokens": 2_000_000, "output_tokens": 1}, book="cost", provider="p2"),
    ]


def metered(rig: Days, seed: int) -> list[UsageEvent]:
    """Calls by the wrong book, loaded."""
    publish(rig.bootstrap, wrong_book())
    calls = day(seed, CALLS)
    rig.send(calls)
    loaded(rig)
    return calls


def loaded(rig: Days) -> None:
    settle(Positions(rig.client), TIMEOUT_S, lambda line: None, (RESALE,))


def wrong(rig: Days, calls: Sequence[UsageEvent], rows: Sequence[CatalogRow]) -> list[str]:
    """Where topics or ClickHouse are not what the oracle says of ``calls`` by ``rows``."""
    charges = Charges(enumerate(rows))
    rated = [(one, charges.rating_of_event(one.to_record())) for one in calls]
    found = []
    for topic in TOPICS:
        expected = wanted(charges, topic, rated)
        found += differing(on_topic(rig.bootstrap, topic), expected)
        found += differing(in_clickhouse(rig.store, topic), expected)
    return found


def charge_of(calls: Sequence[UsageEvent], rows: Sequence[CatalogRow]) -> int:
    """What the customers owe, in pico-units of the one currency."""
    charges = Charges(enumerate(rows))
    rated = [(one, charges.rating_of_event(one.to_record())) for one in calls]
    return sum(line.get("charge", 0) for line in wanted(charges, BILLING, rated).values())


def command(rig: Days, *arguments: str) -> tuple[int, dict[str, Any]]:
    """(exit code, report) of ``tokenmeter rerate``."""
    done = subprocess.run(
        [*COMMAND, "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **rig.settings},
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def ours(rig: Days) -> list[dict[str, Any]]:
    """The corrections that rerate has put on usage.events."""
    events = [decode(record.value).record for record in read_all(rig.bootstrap, EVENTS)]
    return [event for event in events if event["source"] == SOURCE]


def options(rig: Days, **more: Any) -> Options:
    return Options(rig.client, rig.store, apply=True, wait_s=TIMEOUT_S, **more)


def test_a_wrong_price_is_shown_then_booked_exactly_and_once(made: Days, tmp_path: Path) -> None:
    calls = metered(made, 1)
    book = wrong_book()
    assert not (found := wrong(made, calls, book)), "\n".join(found)
    hour = min(one.occurred_at for one in calls if one.model == "b/two").replace(minute=0, second=0, microsecond=0)
    real = [*book, *fix(hour)]
    publish(made.bootstrap, fix(hour))
    lines = len(read_all(made.bootstrap, BILLING))

    code, shown = command(made, "--csv", str(tmp_path / "difference.csv"))
    assert (code, shown["booked"], ours(made), len(read_all(made.bootstrap, BILLING))) == (1, 0, [], lines)
    assert wrong(made, calls, book) == [], "a price that takes effect in the past changes nothing metered"
    difference = sum(pico(Decimal(row["charge_difference"])) for row in shown["rows"] if row["charge_difference"])
    assert difference == charge_of(calls, real) - charge_of(calls, book) != 0
    assert (tmp_path / "difference.csv").read_text().count("\n") == len(shown["rows"]) + 1
    assert wrong(made, calls, real) != [], "what is not booked is noticed"

    code, _ = command(made, "--model", "b/two", "--customer", "shared-0", "--apply")
    assert (code, {one["customer_id"] for one in ours(made)}) == (0, {"shared-0"})
    code, booked = command(made, "--apply")
    assert (code, booked["outstanding"], booked["left"]) == (0, 0, {})
    assert wrong(made, calls, real) == []
    before = len(ours(made))
    code, again = command(made, "--apply")
    assert (code, again["booked"], again["rows"], len(ours(made))) == (0, 0, [], before)
    assert made.audited() == []
    assert made.reconcile(full=True).wrong == {}, "what is booked is usage like any other"
    code, back = command(made, "--as-known-at", str(len(book)))
    assert code == 1
    difference = sum(pico(Decimal(row["charge_difference"])) for row in back["rows"] if row["charge_difference"])
    assert difference == charge_of(calls, book) - charge_of(calls, real)


class Interrupted(Booking):
    """Another re-rating begins, and ends, between what this one saw and what it books."""

    rig: Days

    def book(self, events: Sequence[UsageEvent]) -> None:
        assert rerate(options(self.rig)).outstanding == 0
        super().book(events)


class Unfenced(Interrupted):
    """The mutant: no transaction, and ids of its own, so that nothing tells its corrections from another run's."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._producer = Producer({**client, "partitioner": "murmur2_random", "log_level": 2})

    def fence(self) -> None:
        pass

    def book(self, events: Sequence[UsageEvent]) -> None:
        assert rerate(options(self.rig)).outstanding == 0
        for one in events:
            self.send(one.model_copy(update={"event_id": uuid.uuid4().hex}))
        assert self._producer.flush(30) == 0


@pytest.mark.long
def test_killed_half_way_or_two_at_once_it_is_booked_once(made: Days) -> None:
    calls = metered(made, 2)
    hour = min(one.occurred_at for one in calls if one.model == "b/two").replace(minute=0, second=0, microsecond=0)
    real = [*wrong_book(), *fix(hour)]
    publish(made.bootstrap, fix(hour))
    for produced in (5, 60):
        run = [sys.executable, "-m", "support.rerate_dying", made.bootstrap, made.server.url, str(produced)]
        ended = subprocess.run(run, cwd=TESTS, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    Interrupted.rig = made
    with pytest.raises(Fenced, match="another re-rating has begun"):
        rerate(options(made, booking=Interrupted))
    assert wrong(made, calls, real) == []
    assert rerate(options(made)).booked == 0
    ids = [one["event_id"] for one in ours(made)]
    assert len(set(ids)) == len(ids) > 60
    dearer = [price("a/one", 10_000_000, note="again")]
    publish(made.bootstrap, dearer)
    rerate(options(made, booking=Unfenced))
    assert wrong(made, calls, [*real, *dearer]) != [], "the mutant is noticed"
    # A run looks at where usage lies, so the next one puts even that right.
    assert rerate(options(made)).outstanding == 0
    assert wrong(made, calls, [*real, *dearer]) == []
