"""``tokenmeter reconcile-supplier`` on lines in the embedded ClickHouse, as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from support.clickhouse import Server, migrated
from tokenmeter.ops.supplier.figures import Figures, Key
from tokenmeter.ops.supplier.ours import Days, our_costs, reported_costs
from tokenmeter.store.client import connect

COMMAND = [sys.executable, "-m", "tokenmeter.cli.app", "reconcile-supplier"]
DAY = date(2026, 11, 1)
BILL = """\
generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug
1,2026-11-01 10:00:00,0.000000000003,10,1,a/one
2,2026-11-01 23:59:59,0.5,10,1,a/one
3,2026-11-02 00:00:00,1.001,5,1,a/one
4,2026-11-02 00:00:00,2,5,1,b/theirs
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with migrated(tmp_path_factory.mktemp("store")) as server:
        lines(connect(server.url, "writer", "secret"))
        yield server


def lines(client: Client) -> None:
    """Two days of a/one, of which one call costs euros and one nobody knows what; a key of the customer's own."""
    rows = [
        line(0, 1, 10, cost="0.000000000003", cost_currency="USD", reported=("0.0000000000031", "0.000000000003")),
        line(0, 1, 10, hour=23, cost="0.5", cost_currency="USD"),
        line(0, 9, 99, cost="0", cost_currency="USD", cost_price_id="byok", reported=("7", "0")),
        line(1, 1, 5, cost="1", cost_currency="USD", reported=("1.001", "1")),
        line(1, 3, 5, cost="4", cost_currency="EUR", model="c/euro", reported=("4", "4")),
        line(1, 2, 5, model="d/unknown", reported=("1", None)),
        line(1, 1, 5, cost="8", cost_currency="USD", provider="another"),
        # Each line is there twice, as after a load that was repeated.
    ] * 2
    columns = list(rows[0])
    numbered = [{**row, "line": number % (len(rows) // 2)} for number, row in enumerate(rows)]
    client.insert("tokenmeter.usage_billing", [[row[c] for c in columns] for row in numbered], column_names=columns)


def line(day: int, calls: int, tokens: int, hour: int = 10, **fields: Any) -> dict[str, Any]:
    reported = fields.pop("reported", None)
    row = {
        "partition": 0,
        "first_offset": 0,
        "line": 0,
        "customer_id": "c",
        "model": "a/one",
        "variant": "standard",
        "provider": "p",
        "cost_price_id": None,
        "occurred_hour": datetime(2026, 11, 1 + day, hour if day == 0 else 0, tzinfo=UTC),
        "events": calls,
        "input_tokens": tokens,
        "output_tokens": calls,
        "cost": None,
        "cost_currency": None,
        "reported_calls": calls if reported else 0,
        "reported_cost": Decimal(reported[0]) if reported else None,
        "reported_calls_cost": Decimal(reported[1]) if reported and reported[1] else None,
        **fields,
    }
    row["cost"] = None if row["cost"] is None else Decimal(row["cost"])
    return row


def command(server: Server, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    settings = {
        "TOKENMETER_CLICKHOUSE_URL": server.url,
        "TOKENMETER_CLICKHOUSE_USER": "writer",
        "TOKENMETER_CLICKHOUSE_PASSWORD": "secret",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **settings}
    )
    return done.returncode, done.stdout, done.stderr


def test_the_queries_give_exact_sums_by_day_model_and_currency(server: Server) -> None:
    client = connect(server.url, "writer", "secret")
    second = date(2026, 11, 2)
    assert our_costs(client, Days(DAY, date(2026, 11, 3)), ["p"]) == {
        Key(DAY, "a/one", "USD"): Figures(Decimal("0.500000000003"), 20, 2, 2, 0),
        Key(second, "a/one", "USD"): Figures(Decimal(1), 5, 1, 1, 0),
        Key(second, "c/euro", "EUR"): Figures(Decimal(4), 5, 3, 3, 0),
        Key(second, "d/unknown"): Figures(None, 5, 2, 2, 2),
    }
    assert our_costs(client, Days(DAY, second), ["another"]) == {}
    assert reported_costs(client, Days(DAY, second), []) == {
        Key(DAY, "a/one", "USD", "p"): (
            Figures(Decimal("0.0000000000031").quantize(Decimal("1E-12")), calls=1),
            Figures(Decimal("0.000000000003"), calls=1),
        )
    }


def test_a_bill_that_agrees_and_one_that_does_not(server: Server, tmp_path: Path) -> None:
    bill = tmp_path / "activity.csv"
    bill.write_text("".join(BILL.splitlines(keepends=True)[:3]))
    code, said, error = command(server, str(bill), "--format", "openrouter", "--provider", "p", "--tokens")
    assert (code, "1 matched" in said) == (0, True), said + error
    bill.write_text(BILL)
    out = tmp_path / "out.csv"
    code, said, error = command(
        server, str(bill), "--format", "openrouter", "--provider", "p", "--csv", str(out), "--json"
    )
    shown = json.loads(said)
    assert (code, shown["ok"]) == (1, False), error
    with out.open() as rows:
        found = {(row["day"], row["model"]): row["verdict"] for row in csv.DictReader(rows)}
    assert found == {
        ("2026-11-01", "a/one"): "matched",
        ("2026-11-02", "a/one"): "amount differs",
        ("2026-11-02", "b/theirs"): "theirs only",
        ("2026-11-02", "c/euro"): "ours only",
        ("2026-11-02", "d/unknown"): "no cost price",
    }
    assert [row["difference"] for row in shown["rows"]][:2] == ["0.000000000000", "-0.001000000000"]
    code, said, _ = command(
        server, str(bill), "--format", "openrouter", "--provider", "p", "--until", "2026-11-02", "--tolerance", "0.5%"
    )
    assert (code, "1 matched" in said) == (0, True), said


def test_upstream_s_own_figure_of_each_call(server: Server) -> None:
    code, said, error = command(
        server, "--reported", "--since", "2026-11-01", "--until", "2026-11-03", "--json", "--tolerance", "0.2%"
    )
    shown = json.loads(said)
    assert code == 1, error
    assert {(row["day"], row["model"], row["provider"]): row["verdict"] for row in shown["rows"]} == {
        ("2026-11-01", "a/one", "p"): "matched",
        ("2026-11-02", "a/one", "p"): "matched",
        ("2026-11-02", "c/euro", "p"): "other currency",
        ("2026-11-02", "d/unknown", "p"): "no cost price",
    }


def test_lines_that_cannot_be_read_stop_it_and_are_named(server: Server, tmp_path: Path) -> None:
    bill = tmp_path / "activity.csv"
    bill.write_text(BILL + "5,2026-11-02 00:00:00,free,5,1,b/theirs\n")
    code, _, error = command(server, str(bill), "--format", "openrouter")
    assert code == 1
    assert "activity.csv:6: 'free' is not a number" in error.replace("\n", ""), error
    code, said, error = command(server, str(bill), "--format", "openrouter", "--skip-bad", "--until", "2026-11-02")
    assert (code, "1 matched" in said, "activity.csv:6" in said.replace("\n", "")) == (1, True, True), said + error
    code, _, error = command(server, str(bill))
    assert code == 1 and "--format openrouter" in error
