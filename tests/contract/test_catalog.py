"""The catalog on a real broker: rows come all or none, by one writer at a time, and the verbs work on it."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from support.broker import broker, read_all
from support.catalog_rows import price
from tokenmeter.cli import app as cli
from tokenmeter.events.catalog import row_of
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fenced
from tokenmeter.flow.rate.catalog import CatalogRates
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.kafka import KafkaNode
from tokenmeter.stack.prices import writer as writing
from tokenmeter.stack.prices.demo import demo_rows
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Proposed, Rejected
from tokenmeter.stack.prices.reader import read_catalog
from tokenmeter.stack.prices.writer import CatalogWriter, publish

DIES_HALFWAY = """
import os, sys
from datetime import UTC, datetime
from tokenmeter.events.catalog import Price
from tokenmeter.stack.prices.writer import CatalogWriter
writer = CatalogWriter({"bootstrap.servers": sys.argv[1]})
writer.fence()
writer._producer.begin_transaction()
writer.send([Price(model=f"half/{n}", effective_from=datetime(2026, 1, 1, tzinfo=UTC)) for n in range(50)])
writer._producer.flush(30)
os._exit(9)
"""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    with broker(tmp_path_factory.mktemp("catalog"), partitions=1) as node:
        yield node


@pytest.fixture
def client(kafka: KafkaNode) -> dict[str, Any]:
    return {"bootstrap.servers": kafka.bootstrap, "log_level": 2}


def models(kafka: KafkaNode) -> list[str]:
    """The models of the prices that a read_committed reader sees."""
    return [str(getattr(row_of(one.value), "model", "")) for one in read_all(kafka.bootstrap, CATALOG)]


def propose(*rows: CatalogRow) -> Any:
    return lambda _: [Proposed(row, COMMAND_LINE) for row in rows]


def test_a_writer_that_dies_halfway_leaves_nothing(kafka: KafkaNode, client: dict[str, Any]) -> None:
    """The fault: a writer is gone after half of its rows reached Kafka. Nobody ever sees one of them."""
    died = subprocess.run([sys.executable, "-c", DIES_HALFWAY, kafka.bootstrap], timeout=120)
    assert died.returncode == 9
    published = publish(client, propose(price("after/one"), price("after/two")))
    assert [name for name in models(kafka) if name.startswith(("half", "after"))] == ["after/one", "after/two"]
    catalog = read_catalog(KafkaLogReader(client))
    assert max(offset for offset, _ in catalog.rows) + 1 == published.catalog_offset > 50
    # The mutant writes without a transaction, and the same reader sees its half.
    mutant = Producer(client)
    mutant.produce(CATALOG, price("half/mutant").to_value(), b"mutant", 0)
    mutant.flush(30)
    assert "half/mutant" in models(kafka)


def test_a_second_writer_shuts_the_first_one_out(
    kafka: KafkaNode, client: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = CatalogWriter(client), CatalogWriter(client)
    first.fence()
    second.fence()
    with pytest.raises(Fenced, match=r"another change of the catalog has begun since.*nothing of this one was written"):
        first.write([price("first/one")])
    second.write([price("second/one")])
    assert [name for name in models(kafka) if name.startswith(("first", "second"))] == ["second/one"]
    # The mutant has a transactional id of its own, so both write.
    monkeypatch.setattr(writing, "TRANSACTIONAL_ID", "another")
    mutant = CatalogWriter(client)
    mutant.fence()
    second.write([price("second/two")])
    mutant.write([price("first/mutant")])
    assert models(kafka)[-2:] == ["second/two", "first/mutant"]


def test_rows_that_break_a_rule_are_not_written_nor_are_those_beside_them(
    kafka: KafkaNode, client: dict[str, Any]
) -> None:
    before = len(models(kafka))
    with pytest.raises(Rejected, match="nothing was written: 1 problem"):
        publish(client, propose(price("good/one"), price("bad/one", currency="USX")))
    assert len(models(kafka)) == before


def test_the_demo_is_written_once_and_a_worker_rates_by_it(kafka: KafkaNode, client: dict[str, Any]) -> None:
    rows = demo_rows()
    written = publish(client, propose(*rows))
    assert len(written.changes.rows) == len(rows)
    again = publish(client, propose(*rows))
    assert (again.changes.rows, again.changes.unchanged) == ([], len(rows))
    rates = CatalogRates(client)
    try:
        assert rates.current().catalog_offset >= written.catalog_offset
    finally:
        rates.close()


class Command:
    """The command against one broker, in this process: a verb takes seconds to start."""

    def __init__(self, kafka: KafkaNode, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        patch.setenv("TOKENMETER_KAFKA_BOOTSTRAP", kafka.bootstrap)
        patch.setenv("COLUMNS", "240")
        self._patch, self._captured = patch, captured

    def run(self, *arguments: str) -> tuple[int, str]:
        """(exit code, what it said)."""
        self._patch.setattr(sys, "argv", ["tokenmeter", *arguments])
        try:
            cli.main()
        except SystemExit as ended:
            said = self._captured.readouterr()
            return int(ended.code or 0), said.out + said.err
        raise AssertionError("the command did not end")

    def does(self, *arguments: str) -> str:
        code, said = self.run(*arguments)
        assert code == 0, said
        return said


@pytest.fixture
def command(kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(kafka, monkeypatch, capsys)


def test_the_verbs_on_prices(command: Command, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(
        "model,input,output,cached_input,above_tokens,window,weekdays,variant\n"
        "verb/one,0.30,1.10,0.03,,,,\n"
        "verb/one,0.60,2.20,,200k,,,\n"
        "verb/one,0.15,0.55,,,22:00-02:00,mon-fri,\n"
        "verb/one,0,0,,,,,free\n"
    )
    assert "an import would write 4 new, 0 changed" in command.does("prices", "diff", str(table), "--book", "verbs")
    assert "4 new" in command.does("prices", "import", str(table), "--book", "verbs")
    assert "nothing written: 4 prices" in command.does("prices", "import", str(table), "--book", "verbs")
    table.write_text(table.read_text().replace("0.30,1.10", "0.40,1.10"))
    changed = command.does("prices", "diff", str(table), "--book", "verbs")
    assert "input 0.3, cached_input 0.03, output 1.1 USD/M → input 0.4" in changed
    assert "3 prices in force in book verbs are not in the file" in command.does(
        "prices", "diff", str(other_list(tmp_path)), "--book", "verbs"
    )
    listed = list(csv.DictReader(io.StringIO(command.does("prices", "list", "--book", "verbs", "--csv"))))
    assert [(row["input"], row["above_tokens"], row["window"], row["weekdays"]) for row in listed] == [
        ("0.3", "", "", ""),
        ("0.15", "", "22:00-02:00", "mon-fri"),
        ("0.6", "200000", "", ""),
        ("0", "", "", ""),
    ]
    assert "no plan uses book verbs (4 prices)" in command.does("prices", "check")
    assert command.run("prices", "check", "--strict")[0] == 1
    add = ("prices", "add", "--model", "verb/two", "--input", "1.25", "--output", "10", "--from", "2026-01-01")
    assert "1 new" in command.does(*add)
    two = ("prices", "add", "--model", "verb/two")
    later = command.does(*two, "--input", "1", "--output", "8", "--from", "2099-01-01")
    assert "1 that take another's place" in later
    assert "input 1.25, output 10 USD/M" in command.does("prices", "show", "verb/two")
    assert "input 1, output 8 USD/M" in command.does("prices", "show", "verb/two", "--at", "2099-06-01")
    assert "1 that take another's place" in command.does(*two, "--withdraw", "--from", "2026-02-01")
    code, said = command.run("prices", "show", "verb/two", "--at", "2026-03-01")
    assert (code, "no price of verb/two is in force" in said) == (1, True)
    code, said = command.run("prices", "add", "--model", "nobody/none", "--input", "1", "--output", "1", "--strict")
    assert (code, "model nobody/none is not known" in said) == (1, True)


def test_the_verbs_on_accounts_and_plans(command: Command, tmp_path: Path) -> None:
    assert "2 new" in command.does("prices", "import", str(csv_of(tmp_path)), "--book", "cost")
    since = ("--from", "2026-01-01")
    assert "cost +5.5%" in command.does("plans", "add", "v-retail", "--base", "cost", "--margin", "+5.5%", *since)
    assert "buy +10%" in command.does("plans", "add", "v-passed", "--base", "buy", "--margin", "10%", *since)
    assert "v-retail" in command.does("plans", "list")
    command.does("accounts", "add", "v-dist", "--plan", "v-retail", "--mode", "prepaid", "--limit", "500", *since)
    leaves = tmp_path / "accounts.csv"
    leaves.write_text("account,parent,plan,thresholds\nv-leaf,v-middle,v-passed,50;80\nv-middle,v-dist,v-passed,\n")
    assert "2 new" in command.does("accounts", "import", str(leaves), *since)
    assert "nothing written: 2 accounts" in command.does("accounts", "import", str(leaves), *since)
    shown = command.does("accounts", "show", "v-leaf", "--model", "verb/three", "--provider", "host")
    assert re.search(r"v-leaf\s+v-passed\s+input 1.27655,", shown), shown  # 1.00 * 1.055 * 1.1 * 1.1
    assert re.search(r"v-middle\s+v-passed\s+input 1.1605,", shown), shown
    assert re.search(r"v-dist\s+v-retail\s+input 1.055,", shown), shown
    tree = command.does("accounts", "tree")
    assert tree.index("v-dist") < tree.index("v-middle") < tree.index("v-leaf")
    assert "status" not in command.does("accounts", "set", "v-leaf", "--status", "suspended")
    assert "suspended" in command.does("accounts", "show", "v-leaf")
    assert "1 accounts: v-dist" in command.does("plans", "show", "v-retail")
    code, said = command.run("accounts", "set", "v-dist", "--parent", "v-leaf")
    assert (code, "accounts go in a circle" in said) == (1, True), said
    code, said = command.run("accounts", "add", "v-dist")
    assert (code, "(next: tokenmeter accounts set v-dist --help)" in said) == (1, True), said
    code, said = command.run("plans", "set", "v-retail", "--currency", "EUR")
    assert (code, "its plan v-retail in EUR" in said or "its book cost in USD" in said) == (1, True), said


def other_list(folder: Path) -> Path:
    path = folder / "other.csv"
    path.write_text("model,input,output\nverb/one,0.30,1.10\n")
    return path


def csv_of(folder: Path) -> Path:
    path = folder / "costs.csv"
    path.write_text("model,provider,input,output,from\nverb/three,host,1.00,4.00,2026-01-01\nverb/four,host,2,8,\n")
    return path


def test_a_broker_that_is_away_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMETER_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setattr("tokenmeter.kafka.logreader.STALL_S", 1.0)
    code, said = command.run("prices", "list")
    assert (code, "Kafka at 127.0.0.1:1" in said, "(next: tokenmeter status)" in said) == (1, True, True), said


def test_a_bad_file_is_refused_with_its_lines(kafka: KafkaNode, command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("model,input,output,window\nbad/a,1,2,\nbad/b,-1,2,\nbad/c,1,2,25:00-26:00\n")
    code, said = command.run("prices", "import", str(bad))
    assert code == 1
    assert f"{bad}:3: input -1 is negative" in said
    assert f"{bad}:4: time '25:00'" in said
    assert "bad/a" not in models(kafka)
    overlapping = tmp_path / "overlap.csv"
    overlapping.write_text("model,input,output,window\nbad/a,1,2,\nbad/a,2,4,08:00-12:00\nbad/a,3,6,11:00-14:00\n")
    code, said = command.run("prices", "import", str(overlapping))
    assert code == 1
    assert f"{overlapping}:3" in said or f"{overlapping}:4" in said
    assert "would both price the same calls" in said
    models_json = tmp_path / "models.json"
    models_json.write_text(json.dumps({"neither": 1}))
    code, said = command.run("prices", "import", str(models_json))
    assert (code, "neither LiteLLM's price map nor OpenRouter's" in said) == (1, True)
    assert "bad/a" not in models(kafka)
