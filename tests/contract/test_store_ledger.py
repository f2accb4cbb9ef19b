"""The journal, the states and the alerts as ClickHouse has them: loaded twice is once, and balances are their sums."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from clickhouse_connect.driver.client import Client
from typer.testing import CliRunner

from support.clickhouse import migrated
from support.ledger_desk import Desk, budget, prepaid
from support.market_rows import insert
from tokenmeter.audit.foreign import put_aside
from tokenmeter.cli.app import app
from tokenmeter.events.contract import ACCOUNT_STATE, ALERTS, LEDGER
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.load.load import Loader
from tokenmeter.flow.load.tables import TABLES
from tokenmeter.flow.load.totals import touched
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.kafka.batch import RecordBatch, Run
from tokenmeter.stack.backtest.history import from_clickhouse
from tokenmeter.store.client import connect
from tokenmeter.store.derived import digests
from tokenmeter.store.insert import insert_arrow
from tokenmeter.store.statement import sql

GRANT = Decimal("1000.000000000001")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with migrated(tmp_path_factory.mktemp("store")) as server:
        yield connect(server.url, "writer", "secret", database="tokenmeter")


def load(client: Client, topic: str, values: Sequence[bytes]) -> None:
    """One page, as the loader loads it."""

    def insert(table: str, frame: pl.DataFrame) -> None:
        assert touched(table, frame, 0.0) == set()  # no total is made of it
        insert_arrow(client, table, frame.to_arrow(compat_level=pl.CompatLevel.oldest()))

    loader = Loader(topic, 0, insert)
    loader.add(RecordBatch(topic, 0, 0, len(values), list(values), [Run(0, len(values), 0)], 0))
    loader.close(PageBounds(topic, 0, 0, len(values)))


def busy() -> tuple[Desk, list[Alert]]:
    """Accounts with everything that a state can hold, a repeated entry and a refused one among the entries."""
    desk = Desk(prepaid("a"), prepaid("b"), budget("a", "MODEL", "m", "DAY", 5))
    told = []
    for name in ("a", "b"):
        told += desk.post(desk.entry("GRANT", GRANT, name, entry_id=f"g-{name}", expires_at=None, promotional=True))
        told += desk.post(desk.entry("GRANT", GRANT, name, entry_id=f"g-{name}", note="again", promotional=True))
        for _ in range(12):
            told += desk.spend(90, name)
            told += desk.spend(1, name, scope="MODEL", scope_id="m", line=1)
        told += desk.post(desk.entry("INVOICE", None, name, billed_amount=Decimal(3)))
    return desk, told


def test_a_journal_loaded_twice_adds_up_to_the_states(store: Client) -> None:
    desk, told = busy()
    states = {name: desk.state(name) for name in ("a", "b")}
    pages = {
        LEDGER: [one.to_value() for one in desk.entries],
        ACCOUNT_STATE: list(desk.states.values()),
        ALERTS: [one.to_value() for one in told],
    }
    loaded = {TABLES[topic][1] for topic in pages}
    found = []
    for _ in range(2):
        for topic, values in pages.items():
            load(store, topic, values)
        found.append(digests(store, loaded))
    assert found[0] == found[1] and all(rows for rows, _ in found[0].values())
    sums = store.query(
        "SELECT account_id, sum(amount) FROM ledger_entries FINAL WHERE scope IS NULL GROUP BY account_id"
    )
    stored = store.query("SELECT account_id, balance FROM account_states FINAL")
    assert dict(sums.result_rows) == dict(stored.result_rows) == {name: states[name]["balance"] for name in states}
    assert store.query("SELECT count(), uniqExact(alert_id) FROM alerts FINAL").result_rows == [(len(told), len(told))]


def _plain(one: dict[str, Any]) -> list[Any]:
    """Times within tuples come back without their zone, which is UTC."""
    return [value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in one.values()]


def test_the_arrays_of_a_state_are_stored_whole(store: Client) -> None:
    desk, _ = busy()
    state = desk.state("a")
    load(store, ACCOUNT_STATE, [desk.states["a"]])
    row = next(store.query("SELECT * FROM account_states FINAL WHERE account_id = 'a'").named_results())
    assert (state["credit"], state["alarms"] != [], len(state["windows"])) == (row["credit"], True, 1)
    for name in ("grants", "windows", "alarms", "burn", "positions", "entries"):
        assert [_plain(one) for one in row[name]] == [_plain(one) for one in state[name]], name


def test_an_older_state_does_not_replace_a_newer(store: Client) -> None:
    desk = Desk(prepaid("z"))
    desk.post(desk.entry("GRANT", 5, "z"))
    old = desk.state("z")
    values = [desk.states["z"]]
    desk.spend(2, "z")
    assert desk.state("z")["next_offset"] > old["next_offset"]
    for value in (desk.states["z"], *values):
        load(store, ACCOUNT_STATE, [value])
    assert store.query("SELECT balance FROM account_states FINAL WHERE account_id = 'z'").result_rows == [(Decimal(3),)]


def test_another_entry_under_a_used_id_does_not_replace_the_first(store: Client) -> None:
    desk = Desk(prepaid("y"))
    first, other = (desk.entry("GRANT", amount, "y", entry_id="g") for amount in (5, 6))
    load(store, LEDGER, [first.to_value(), other.to_value(), first.to_value()])
    rows = store.query("SELECT amount FROM ledger_entries FINAL WHERE account_id = 'y' ORDER BY amount").result_rows
    assert rows == [(Decimal(5),), (Decimal(6),)]


def test_an_anomaly_is_stored_with_what_it_counted_and_will_cost(store: Client) -> None:
    when = datetime(2026, 11, 26, 12, tzinfo=UTC)
    figures = {"expected": Decimal(50), "seen": Decimal(2000), "score": 12.5, "projected_amount": Decimal("700.25")}
    band = {"band_begins_at": when, "band_low": (0.5, 1.0), "band_expected": (2.0, 3.0), "band_high": (9.0, 8.0)}
    told = Alert(
        alert_id="anomaly-1",
        account_id="anomalous",
        subject_kind="key",
        subject_id="k",
        kind="spike",
        state=AlertState.OPEN,
        severity=AlertSeverity.WARNING,
        broker_at=when,
        since=when,
        sentence="key k of anomalous: 2,000 tokens in a minute",
        measure="tokens",
        **figures,
        **band,
    )
    load(store, ALERTS, [told.to_value()])
    asked = "SELECT measure, expected, seen, score, projected_amount FROM alerts FINAL WHERE account_id = 'anomalous'"
    assert store.query(asked).result_rows == [("tokens", *figures.values())]
    asked = f"SELECT {', '.join(band)} FROM alerts FINAL WHERE account_id = 'anomalous'"
    assert store.query(asked).result_rows == [(when.replace(tzinfo=None), [0.5, 1.0], [2.0, 3.0], [9.0, 8.0])]


def test_a_backtest_sees_what_the_watch_saw_minute_by_minute(store: Client) -> None:
    closed = datetime.now(UTC).replace(second=30, microsecond=0) - timedelta(hours=1)
    pages = [{"first_offset": n, "closed_at": closed + timedelta(minutes=n)} for n in range(3)]
    hour = closed.replace(minute=0, second=0)
    line = {"customer_id": "acme", "api_key_id": "k", "model": "m", "occurred_hour": hour, "events": 2}
    line |= {"input_tokens": 900, "output_tokens": 100, "tokens_squared": Decimal(500_000), "charge": Decimal("0.25")}
    keyless = {**line, "line": 1, "api_key_id": None}
    both = [{**one, "first_offset": n} for n in range(3) for one in (line, keyless)]
    insert(store, "usage_pages", pages)
    insert(store, "usage_billing", both)
    since = closed - timedelta(minutes=1)
    for measure, value in (("tokens", 1000.0), ("calls", 2.0)):
        found = from_clickhouse(store, since, 60, measure)
        rows = list(zip(found.subject, found.bucket.tolist(), found.value.tolist(), strict=True))
        first = int(closed.timestamp()) // 60
        wanted = [(one, first + n, value * times) for n in range(3) for one, times in WHO]
        assert rows == wanted
        assert found.paid is not None and found.paid.tolist() == [0.5, 0.25] * 3
    with pytest.raises(Misconfigured, match="no line since"):
        from_clickhouse(store, datetime.now(UTC), 60, "tokens")


WHO = (("customer acme", 2), ("key k of acme", 1))


def test_strangers_records_are_kept_once_however_often_their_page_is_loaded_and_are_listed(
    store: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, _ = busy()
    values = [one.to_value() for one in desk.entries]
    store.command("TRUNCATE TABLE ledger_entries")
    for _ in range(2):
        load(store, LEDGER, [b"evil", *values, b""])
    kept = store.query("SELECT topic, partition, offset, reason, value FROM foreign_records FINAL ORDER BY offset")
    assert kept.result_rows == [(LEDGER, 0, 0, "truncated", "evil"), (LEDGER, 0, 1 + len(values), "truncated", "")]
    assert store.query(sql("status")).first_item["foreign_records"] == 2
    assert str(put_aside(store, LEDGER, "ledger_entry")[0]).endswith("offset 0 is no ledger_entry: truncated")
    for name, value in (("URL", store.url), ("USER", "writer"), ("PASSWORD", "secret")):
        monkeypatch.setenv(f"TOKENMETER_CLICKHOUSE_{name}", value)
    listed = CliRunner().invoke(app, ["quarantine", "foreign", "--json"])
    assert listed.exit_code == 0, listed.output
    found = [
        (one["topic"], one["offset"], one["bytes"], bytes.fromhex(one["hexed"])) for one in json.loads(listed.output)
    ]
    assert found == [(LEDGER, 0, 4, b"evil"), (LEDGER, 1 + len(values), 0, b"")]
    shown = CliRunner().invoke(app, ["quarantine", "foreign"])
    assert "evil" in shown.output and "truncated" in shown.output
