"""Usage asked of the totals equals SQL on the lines, for random customers and periods, whatever totals are due."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from support.clickhouse import migrated
from support.gateway_parts import Client as Gateway
from support.gateway_parts import Told, key_row, parts
from support.market_rows import insert
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Misconfigured, Transient
from tokenmeter.stack.gateway_store import GatewayStore
from tokenmeter.store import usage as asked
from tokenmeter.store import usage_loaded
from tokenmeter.store.client import connect
from tokenmeter.store.totals import Totals, days
from tokenmeter.store.usage import BY, COUNTS, Question, totalled, usage
from tokenmeter.store.usage_loaded import Loaded, PagesRead

QUESTIONS = 20
PAGES, LINES = 60, 8
NOW = datetime.now(UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
CUSTOMERS = ("acme", "bob's", "[/foo]", "\x1b[31m")
COLUMNS = {"day": "toDate(occurred_hour, 'UTC')", "project": "project_id", "key": "api_key_id", "model": "model"}


def page(chance: random.Random, partition: int, first_offset: int) -> list[dict[str, Any]]:
    """Lines of one page, of any hour of the last 20 days, a few of them corrections."""
    made = []
    for number in range(LINES):
        currency = chance.choice(["USD", "EUR", None])
        sign = chance.choice([1, 1, 1, -1])
        made.append(
            {
                **{name: sign * chance.randrange(1_000) for name in QUANTITY_FIELDS},
                "partition": partition,
                "first_offset": first_offset,
                "line": number,
                "customer_id": chance.choice(CUSTOMERS),
                "project_id": chance.choice(["p", None]),
                "api_key_id": chance.choice(["k1", "k2", None]),
                "model": f"a/{chance.randrange(3)}",
                "provider": "p",
                "variant": "standard",
                "provisional": chance.random() < 0.2,
                "occurred_hour": TODAY - timedelta(hours=chance.randrange(20 * 24)),
                "events": sign,
                "errors": chance.randrange(2),
                "currency": currency,
                "charge": None if currency is None else sign * Decimal(chance.randrange(10**15)).scaleb(-12),
            }
        )
    return made


def put(client: Client, lines: list[dict[str, Any]], *, pages: bool = True, touched: bool = True) -> None:
    """What a loader does with pages: their lines, their records, and the note of what is due."""
    insert(client, "usage_billing", lines)
    if pages:
        heads = {(line["partition"], line["first_offset"]): line for line in lines}
        records = [
            {
                "partition": partition,
                "first_offset": first,
                "last_offset": first + 9,
                "meter": "m",
                "billing_lines": LINES,
                "closed_at": NOW,
                "previous_digest": "",
                "digest": "",
            }
            for partition, first in heads
        ]
        insert(client, "usage_pages", records)
    if touched:
        Totals(client).touch({("usage_billing", int(line["occurred_hour"].timestamp())) for line in lines})


def make_totals(client: Client) -> None:
    pending = [bucket for source, bucket in Totals(client).pending() if source == "usage_billing"]
    for day, buckets in days(pending):
        Totals(client).remake("usage_billing", day, buckets)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Pages whose totals are made, then one whose totals are due, then one that the loader has only just put in."""
    with migrated(tmp_path_factory.mktemp("usage")) as server:
        client = connect(server.url, "writer", "secret")
        chance = random.Random(5)
        put(client, [line for number in range(PAGES) for line in page(chance, number % 2, number * 10)])
        make_totals(client)
        put(client, page(chance, 0, 10_000))
        put(client, page(chance, 1, 10_000), touched=False)
        yield client


def by_sql(client: Client, question: Question) -> list[dict[str, Any]]:
    """The same of the lines, as an analyst would ask."""
    names = [name for name in BY if name in question.by]
    what = {"calls": "events", "unpriced": "if(charge IS NULL, events, 0)", "provisional": "if(provisional, events, 0)"}
    measures = ", ".join(f"sum({what.get(name, name)}) AS sum_{name}" for name in COUNTS)
    of = [f"{COLUMNS[name]} AS by_{name}" for name in names]
    where = "customer_id = {c:String} AND occurred_hour >= {a:DateTime('UTC')} AND occurred_hour < {b:DateTime('UTC')}"
    parameters = {"c": question.customer_id, "a": _text(question.since), "b": _text(question.until)}
    group = f"GROUP BY {', '.join(f'by_{name}' for name in names)}" if names else "HAVING count() > 0"

    def run(columns: list[str], grouped: str) -> list[dict[str, Any]]:
        statement = f"SELECT {', '.join([*of, *columns])} FROM tokenmeter.usage_billing FINAL WHERE {where} {grouped}"
        return list(client.query(statement, parameters).named_results())

    rows = {tuple(row[f"by_{name}"] for name in names): row for row in run([measures], group)}
    found = {
        key: {**dict(zip(names, key, strict=True)), **{name: int(row[f"sum_{name}"]) for name in COUNTS}, "charges": {}}
        for key, row in rows.items()
    }
    also = f"GROUP BY {', '.join([*(f'by_{name}' for name in names), 'currency'])} HAVING isNotNull(owed)"
    for row in run(["currency", "sum(charge) AS owed"], also):
        found[tuple(row[f"by_{name}"] for name in names)]["charges"][row["currency"]] = row["owed"]
    return list(found.values())


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def questions() -> list[Question]:
    chance = random.Random(11)
    made = []
    for _ in range(QUESTIONS):
        begin = chance.randrange(21 * 24)
        since = TODAY - timedelta(hours=begin)
        length = chance.choice([chance.randrange(1, begin + 24), 24 * chance.randrange(1, 22)])
        by = tuple(name for name in BY if chance.random() < 0.4)
        if chance.random() < 0.4:
            since = since.replace(hour=0)
        made.append(Question(chance.choice(CUSTOMERS), since, since + timedelta(hours=length), by))
    return made


def differing(client: Client) -> Iterator[Question]:
    """The questions whose answer is not what the lines say."""

    def sorted_rows(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(str({**row, "charges": dict(sorted(row["charges"].items()))}) for row in rows)

    for one in questions():
        told, lines = usage(client, one, NOW).rows, by_sql(client, one)
        if sorted_rows(told) != sorted_rows(lines) or totalled(told)["calls"] != sum(row["calls"] for row in lines):
            yield one


@pytest.fixture
def few_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest page of each partition alone counts as recent, so that most days come from their totals."""
    monkeypatch.setattr(usage_loaded, "PAGES", (1,))


def test_usage_equals_sql_on_the_lines(client: Client, few_pages: None) -> None:
    assert any(by_sql(client, one) for one in questions())
    assert next(differing(client), None) is None


def test_whole_days_come_from_totals(client: Client, few_pages: None) -> None:
    """Else the test above would hold the lines against themselves: these totals have no lines."""
    insert(client, "billing_daily", [{"day": date(2020, 1, 1), "customer_id": "old", "model": "m", "events": 7}])
    years = Question("old", datetime(2020, 1, 1, tzinfo=UTC), TODAY)
    assert [row["calls"] for row in usage(client, years, NOW).rows] == [7]


def test_who_trusts_totals_that_are_due_is_caught(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: mutants that do not look what is due, or what has just arrived."""
    with monkeypatch.context() as patch:
        patch.setattr(Totals, "pending", lambda self: {})
        patch.setattr(asked, "loaded", lambda *given: Loaded({}, frozenset()))
        assert next(differing(client))
    with monkeypatch.context() as patch:
        patch.setattr(asked, "loaded", lambda *given: Loaded({}, frozenset()))
        assert next(differing(client)), "lines that arrived before their note"


def test_the_answer_says_up_to_when_it_is_complete(client: Client) -> None:
    question = Question("acme", TODAY, TODAY + timedelta(days=1))
    assert usage(client, question, NOW).complete_until == NOW
    torn = page(random.Random(1), 0, 20_000)
    put(client, torn[:-1])
    later = NOW + timedelta(minutes=1)
    client.command(
        "ALTER TABLE tokenmeter.usage_pages UPDATE closed_at = {t:DateTime64(6, 'UTC')} WHERE first_offset = 20000 "
        "SETTINGS mutations_sync = 2",
        parameters={"t": f"{later:%Y-%m-%d %H:%M:%S.%f}"},
    )
    assert usage(client, question, later).complete_until == NOW, "the newest page lacks a line"
    assert usage(client, question, later, {0: later, 1: later}).complete_until == NOW
    put(client, torn, pages=False)
    assert usage(client, question, later).complete_until == NOW, "of the other partition nothing newer is known"
    assert usage(client, question, later, {0: later, 1: later}).complete_until == later


def test_a_cut_day_whose_lines_are_gone_is_refused_and_whole_days_are_not(client: Client) -> None:
    long_ago = TODAY - timedelta(days=200)
    with pytest.raises(Misconfigured, match="whole UTC days"):
        usage(
            client, Question("acme", long_ago + timedelta(hours=1), NOW.replace(minute=0, second=0, microsecond=0)), NOW
        )
    assert usage(client, Question("acme", long_ago, TODAY - timedelta(days=100)), NOW).rows == []


def test_the_gateway_tells_a_customer_its_own_usage_and_nobody_else_s(client: Client) -> None:
    def no_kafka() -> PagesRead:
        raise Transient("Kafka does not answer")

    store = GatewayStore(client.url, "writer", "secret", no_kafka)
    keys = Told(key_row("s", customer_id="bob's", rights=("read",)), key_row("own", rights=("read",)))
    ask = Gateway(parts((), ("admin",), keys, usage_of=store.usage_of))
    period = {"since": f"{TODAY - timedelta(days=9):%Y-%m-%d}", "until": f"{TODAY:%Y-%m-%d}", "by": "model,day"}
    question = Question("bob's", TODAY - timedelta(days=9), TODAY, ("model", "day"))
    expected = usage(client, question, NOW).as_dict()
    assert expected["rows"]
    for key, named in (("s", {}), ("s", {"customer": "bob's"}), ("admin", {"customer": "bob's"})):
        answer = ask("GET", "/v1/usage", key, params={**period, **named})
        assert (answer.status_code, answer.json()) == (200, expected)
    for key, named, status in (
        ("s", {"customer": "acme"}, 403),
        ("own", {"customer": "acme"}, 403),
        ("admin", {}, 422),
        ("s", {"since": "yesterday"}, 422),
        ("s", {"by": "colour"}, 422),
        ("s", {"of": "acme"}, 422),
    ):
        assert ask("GET", "/v1/usage", key, params={**period, **named}).status_code == status, named
    nowhere = GatewayStore("http://127.0.0.1:9", "writer", "secret", no_kafka)
    away = Gateway(parts((), ("admin",), usage_of=nowhere.usage_of))
    assert away("GET", "/v1/usage", "admin", params={"customer": "acme"}).status_code == 503
    assert Gateway(parts((), ("admin",)))("GET", "/v1/usage", "admin", params={"customer": "c"}).status_code == 501
