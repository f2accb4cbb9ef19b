"""Corrections and reconcile on real Kafka and the real ClickHouse engine, as a user meets them.

A correction of the user's own goes from the SDK to the boards' views; copies sent after the horizon are shown, taken
off and accounted for; whatever would make reconcile take off too much stops it, and nothing is sent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from support import charged_lines as charged
from support import usage_totals
from support.broker import eventually, read_all
from support.catalog_rows import account, price
from support.charged_lines import differing, publish
from support.days import SHORT_MS, Days, day, days
from tokenmeter.audit.charges import Charges
from tokenmeter.emit import Emitter
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.contract import BILLING, EVENTS, MARKET, PAGES, RESALE
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.ops.reconcile import Sources
from tokenmeter.ops.reconcile import run as reconcile
from tokenmeter.ops.reconcile.corrections import SOURCE
from tokenmeter.ops.reconcile.run import settle
from tokenmeter.ops.reconcile.sources import Positions
from tokenmeter.store.statement import totals
from tokenmeter.store.topics import note_topics

COMMAND = [sys.executable, "-m", "tokenmeter.cli.app", "reconcile"]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Days]:
    with days(tmp_path, SHORT_MS) as running:
        yield running


def command(rig: Days, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of ``tokenmeter reconcile``."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **rig.settings}
    )
    return done.returncode, done.stdout, done.stderr


def resend(rig: Days, events: list[UsageEvent]) -> None:
    """Again, after the horizon, and loaded."""
    rig.outlive_horizon()
    rig.send(events)
    loaded(rig)


def loaded(rig: Days) -> None:
    settle(Positions(rig.client), 60, lambda line: None)


def ours(rig: Days) -> list[dict[str, Any]]:
    """The corrections that reconcile has put on usage.events, repeats included."""
    events = [decode(record.value).record for record in read_all(rig.bootstrap, EVENTS)]
    return [event for event in events if event["source"] == SOURCE]


def one_row(client: Client, statement: str) -> dict[str, Any]:
    return dict(next(iter(client.query(statement).named_results())))


def test_a_correction_goes_from_the_sdk_to_the_views_and_is_no_call(made: Days) -> None:
    calls = day(1, 200)
    part = calls[0].model_copy(
        update={"event_id": "part", "kind": "CORRECTION", "corrects": calls[0].event_id, "input_tokens": -3}
        | dict.fromkeys(usage_totals.QUANTITY_FIELDS[1:], 0)
    )
    whole = part.model_copy(update={"event_id": "whole", "calls": -1, "input_tokens": -calls[0].input_tokens})
    made.first = [*calls, part, whole]
    made.send(made.first)
    assert made.judge().wrong == ()
    loaded(made)
    assert made.audited() == []
    pages = [decode(record.value).record for record in read_all(made.bootstrap, PAGES)]
    for page in pages:
        assert page["events_in"] == page["events"] + page["duplicates"] + page["quarantined"]
    sums = {name: sum(page[name] for page in pages) for name in ("events", "corrections", "corrected_calls")}
    assert sums == {"events": 202, "corrections": 2, "corrected_calls": -1}
    figures = "sum(corrections) AS corrections, sum(corrected_calls) AS corrected_calls"
    stored = one_row(made.store, f"SELECT {figures} FROM tokenmeter.usage_pages FINAL")
    assert stored == {"corrections": 2, "corrected_calls": -1}
    assert totals(made.store, "billing")["events"] == totals(made.store, "market")["events"] == 199
    assert one_row(made.store, "SELECT toInt64(sum(calls)) AS calls FROM boards.market") == {"calls": 199}
    # Raw events hold each call once, corrections are not among them; the loader makes its totals soon after its rows.
    minutes = "SELECT toInt64(sum(calls)) AS calls FROM boards.calls_by_minute"
    eventually("the minutes are made", lambda: one_row(made.store, minutes) == {"calls": 200})
    assert made.reconcile().wrong == {}, "a correction is usage like any other: nothing was metered twice"


def test_the_verb_shows_corrects_and_accounts_for_what_it_did(made: Days, tmp_path: Path) -> None:
    made.first = day(2, 200)
    made.send(made.first)
    code, said, error = command(made)
    assert (code, "nothing to correct" in said) == (0, True), said + error
    again = [one for one in made.first if one.customer_id.startswith("own-")][:30]
    resend(made, again)
    code, said, _ = command(made, "--json")
    shown = json.loads(said)
    assert (code, shown["ok"], shown["sent"], ours(made)) == (1, False, 0, [])
    wanted = usage_totals.expected(BILLING, again)
    found = {
        (row["customer_id"], row["model"]): {name: row[name] for name in usage_totals.MEASURES[BILLING]}
        for row in shown["wrong"]
    }
    assert found == {(key[0], key[3]): line for key, line in wanted.items()}
    assert sum(shown["watermarks"].values()) == len(read_all(made.bootstrap, EVENTS)), "the offsets it judged to"
    textfile = tmp_path / "metrics" / "reconcile.prom"
    code, said, error = command(made, "--apply", "--textfile", str(textfile))
    assert code == 0, said + error
    assert "0 wrong lines are left" in said.replace("\n", " ")
    assert made.judge().holds
    metrics = dict(line.split() for line in textfile.read_text().splitlines() if not line.startswith("#"))
    assert float(metrics["tokenmeter_reconcile_wrong_calls"]) == 30
    assert float(metrics["tokenmeter_reconcile_outstanding_lines"]) == 0
    run = one_row(made.store, "SELECT * FROM boards.reconcile ORDER BY finished DESC LIMIT 1")
    assert (run["mode"], run["wrong_calls"], run["outstanding_lines"]) == ("corrected", 30, 0)
    assert run["wrong_tokens"] == sum(one.input_tokens + one.output_tokens for one in again)
    assert run["corrections"] == len(ours(made))
    before = len(ours(made))
    assert command(made, "--apply", "--full")[0] == 0
    assert len(ours(made)) == before


@pytest.mark.long
def test_a_run_that_stalled_past_the_horizon_is_itself_corrected(made: Days) -> None:
    """Two runs judge the same; one sends, and long after the horizon the other sends the same events."""
    made.first = day(3, 200)
    made.send(made.first)
    resend(made, made.first)
    report = made.reconcile(apply=True)
    assert report.ok
    sent = [UsageEvent.from_record(record) for record in ours(made)]
    resend(made, sent)
    assert not made.judge().holds, "the stalled run's corrections were metered again"
    made.merge()
    assert made.reconcile(apply=True).ok
    assert made.judge().holds, made.judge()
    assert made.reconcile(apply=True, full=True).wrong == {}
    assert made.audited() == []


class Twice(Emitter):
    """Another run judged the same and sends the same at the same time: each correction comes twice, interleaved."""

    def emit(self, event: UsageEvent, on_delivery: Callable[[str | None], None] | None = None) -> None:
        super().emit(event, on_delivery)
        super().emit(event)


def test_two_runs_at_once_are_one(made: Days) -> None:
    made.first = day(4, 100)
    made.send(made.first)
    resend(made, made.first)
    racing = Sources(made.client, made.store, emitter=Twice)
    report = reconcile(racing, apply=True)
    assert report.ok
    assert len(ours(made)) == 2 * report.sent
    assert made.judge().holds, made.judge()
    assert made.reconcile(apply=True, full=True).wrong == {}


@pytest.mark.long
def test_a_store_that_lost_raw_events_is_not_believed(made: Days) -> None:
    made.first = day(5, 200)
    made.send(made.first)
    loaded(made)
    gone = made.first[0]
    made.store.command(
        "ALTER TABLE tokenmeter.usage_events DELETE WHERE customer_id = {customer:String} SETTINGS mutations_sync = 2",
        parameters={"customer": gone.customer_id},
    )
    shown = made.reconcile()
    assert [key[0] for key in shown.wrong] == [gone.customer_id]
    with pytest.raises(Fatal, match=f"lacks events .*{gone.customer_id}/{gone.event_id}"):
        made.reconcile(apply=True)
    assert ours(made) == []
    assert made.judge().holds


@pytest.mark.long
def test_a_page_whose_lines_are_not_stored_is_not_judged(made: Days) -> None:
    made.first = day(6, 100)
    made.send(made.first)
    loaded(made)
    made.store.command("TRUNCATE TABLE tokenmeter.usage_market")
    with pytest.raises(Fatal, match=r"holds 0 market_lines of pages .*audit"):
        made.reconcile(apply=True)
    assert ours(made) == []


def test_a_store_that_lacks_a_page_or_is_of_another_log_is_never_clean(
    made: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wave in (12, 13):
        made.first += day(wave, 100)
        made.send(day(wave, 100))
        loaded(made)
    assert made.reconcile().pages >= 4
    assert made.reconcile(full=True).ok

    forget(made, 1, "min")
    with pytest.raises(Fatal, match=r"lacks the first page of usage\.events/1"):
        made.reconcile(full=True)
    forget(made, 0, "max")
    for full in (False, True):
        with pytest.raises(Fatal, match=r"lacks the last page of usage\.events/0: the log is metered up to offset"):
            made.reconcile(full=full)
    monkeypatch.setattr(sys.modules["tokenmeter.ops.reconcile.run"], "require_last_pages", lambda *_: None)
    assert made.reconcile().ok, "who does not look for it says that nothing is to be corrected"

    note_topics(made.store, {EVENTS: "another"})
    with pytest.raises(Misconfigured, match=r"loaded from another log: usage\.events"):
        made.reconcile()


def forget(rig: Days, partition: int, which: str) -> None:
    """Take a partition's first or last page out of the store, with all that is of it."""
    place = f"partition = {partition}"
    row = one_row(rig.store, f"SELECT {which}(first_offset) AS f FROM tokenmeter.usage_pages WHERE {place}")
    for table in ("usage_pages", "usage_billing", "usage_market"):
        rig.store.command(
            f"ALTER TABLE tokenmeter.{table} DELETE WHERE {place} AND first_offset = {row['f']}",
            settings={"mutations_sync": 2},
        )


@pytest.mark.long
def test_who_is_behind_is_named_and_nothing_is_sent(tmp_path: Path) -> None:
    with days(tmp_path, SHORT_MS) as made:
        made.first = day(7, 100)
        made.send(made.first)
        made.wait_read("meter")
        made.wait_read("load", EVENTS)
        made.load.kill()
        resent = day(8, 50)
        made.first += resent
        made.send(resent)
        made.wait_read("meter")
        with pytest.raises(Fatal, match=r"the loader is behind: usage\.\w+/\d is done to offset \d+ of \d+"):
            reconcile(Sources(made.client, made.store, 1), apply=True)
        made.meter.kill()
        made.send(day(9, 10))
        with pytest.raises(Fatal, match=r"the meter is behind: usage.events/\d"):
            reconcile(Sources(made.client, made.store, 1), apply=True)
        assert ours(made) == []


def test_copies_are_taken_off_at_the_prices_they_were_charged_by(made: Days) -> None:
    """Two tiers, a price that changes within the hour and a distributor; copies that come beyond the horizon."""
    hour = day(11, 1)[0].occurred_at.replace(hour=1, minute=0, second=0, microsecond=0)
    change = hour + timedelta(minutes=30)
    rows = [
        price("a/one", 7),
        price("a/one", 11, min_input_tokens=50_000),
        price("a/one", 13, effective_from=change),
        price("a/one", 17, min_input_tokens=50_000, effective_from=change),
        price("a/one", 3, book="cost"),
        account("shared-1", "default", "boss"),
    ]
    publish(made.bootstrap, rows)
    made.first = [
        one.model_copy(update={"model": "a/one", "provider": "p", "project_id": None}) for one in day(11, 150)
    ]
    made.send(made.first)
    resend(made, made.first[::3])
    charges = Charges(enumerate(rows))
    rated = [(one, charges.rating_of_event(one.to_record())) for one in made.first]

    def wrong() -> list[str]:
        topics = (BILLING, RESALE)
        return [
            w for t in topics for w in differing(charged.on_topic(made.bootstrap, t), charged.wanted(charges, t, rated))
        ]

    assert wrong() != [], "the copies were charged again"
    report = made.reconcile(apply=True)
    assert (report.ok, report.sent > 0) == (True, True)
    assert wrong() == []
    assert made.judge().holds, made.judge()
    assert made.reconcile(apply=True, full=True).wrong == {}
    assert made.audited() == []


def test_honest_lines_of_every_kind_differ_from_nothing(made: Days) -> None:
    """The queries make the hour, the bucket and the counts as the meter does, whatever the call was."""
    sizes = (0, 999, 1_000, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000)
    made.first = [
        one.model_copy(
            update={
                "input_tokens": sizes[number % 9],
                "cached_input_tokens": 0,
                "error_class": "x" if number % 5 else None,
            }
        )
        for number, one in enumerate(day(10, 300))
    ]
    made.send(made.first)
    assert made.judge().holds
    report = made.reconcile(full=True)
    assert (report.wrong, report.outstanding, report.pages > 0) == ({}, 0, True)
    assert len(usage_totals.on_topic(made.bootstrap, MARKET)) > 50
