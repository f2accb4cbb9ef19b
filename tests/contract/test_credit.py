"""``tokenmeter credit`` and ``POST /v1/credit`` on real Kafka: an entry is booked once, and its maker is told what the
ledger made of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from decimal import Decimal
from threading import Event
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from support import owed
from support.gateway_app import served
from support.gateway_parts import parts
from support.ledger_desk import prepaid
from support.world import World
from tokenmeter.cli.app import app
from tokenmeter.emit.gateway import GatewayConfig, make_app, run
from tokenmeter.events.contract import LEDGER
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import EntryKind, LedgerEntry
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.stack.credit.book import Booked, NotBooked, book
from tokenmeter.stack.credit.desk import desk_of
from tokenmeter.stack.credit.make import entry
from tokenmeter.stack.credit.read import states

WAIT_S = 60.0


def grant(amount: int, entry_id: str) -> LedgerEntry:
    return entry("acme", EntryKind.GRANT, entry_id, datetime.now(UTC), "test", amount=Decimal(amount), currency="EUR")


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ledger at work, whose first entry waited for it."""
    with World.begun(tmp_path_factory.mktemp("credit")) as world:
        owed.publish(world.bootstrap, [prepaid("acme", currency="EUR")])
        with pytest.raises(NotBooked, match="has not booked it"):
            book(world.client, grant(10, "g-1"), 1.0)  # it waits on the topic
        assert states(KafkaLogReader(world.client)) == {}
        world.worker("ledger", slot="1")
        yield world.bootstrap


def test_an_entry_by_hand_is_booked_once_and_its_maker_told(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client: dict[str, Any] = {"bootstrap.servers": bootstrap}
    again, other, new = (book(client, made, WAIT_S) for made in (grant(10, "g-1"), grant(11, "g-1"), grant(5, "g-2")))
    assert (again.repeated, again.refusal, _balance(again)) == (True, None, 10)
    assert other.refusal is not None and other.refusal.kind == "conflict" and _balance(other) == 10
    assert (new.repeated, new.refusal, _balance(new)) == (False, None, 15)
    monkeypatch.setenv("TOKENMETER_KAFKA_BOOTSTRAP", bootstrap)
    ran = CliRunner().invoke(app, ["credit", "adjust", "acme", "-2.5", "--note", "goodwill"])
    assert ran.exit_code == 0, ran.output
    assert "acme: balance 12.5 EUR, used 2.5 of 15, allowed" in ran.output
    ran = CliRunner().invoke(app, ["credit", "void", "acme", "g-1"])
    assert "acme: balance 2.5 EUR" in ran.output, ran.output


class Admin:
    """Who has an admin key, and sends orders to the gateway."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, key: str = "admin", **order: Any) -> tuple[int, dict[str, Any]]:
        sent = {"account_id": "http", **order}
        answer = httpx.post(
            f"{self._url}/v1/credit", json=sent, headers={"Authorization": f"Bearer {key}"}, timeout=WAIT_S
        )
        return answer.status_code, answer.json()


@pytest.fixture
def admin(bootstrap: str) -> Iterator[Admin]:
    client: dict[str, Any] = {"bootstrap.servers": bootstrap}
    made = make_app(parts(("caller",), ("admin",), desk=desk_of(client, WAIT_S)))
    with served(made) as url:
        yield Admin(url)


def test_c18_an_order_over_http_counts_once_in_parallel_and_after_and_never_with_another_amount(admin: Admin) -> None:
    order = {"kind": "payment", "entry_id": "p-1", "amount": "0.000000000001", "reference": "bank-7"}
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: admin(**order), range(3)))
    assert [status for status, _ in answers] == [200, 200, 200]
    assert sorted(answer["repeated"] for _, answer in answers) == [False, True, True]
    assert {answer["state"]["balance"] for _, answer in answers} == {"1E-12"}
    status, conflict = admin(**{**order, "amount": "2"})
    assert (status, conflict["kind"]) == (409, "conflict")
    assert admin(**{**order, "entry_id": "p-2"})[0] == 409  # the reference is used
    status, answer = admin(kind="void", entry_id="v-1", voids="p-1", note="wrong customer")
    assert (status, Decimal(answer["state"]["balance"])) == (200, 0)


def test_an_order_that_is_none_is_refused_by_name_and_nothing_is_written(admin: Admin, bootstrap: str) -> None:
    log = KafkaLogReader({"bootstrap.servers": bootstrap})
    before = [log.end(LEDGER, partition) for partition in range(log.partitions(LEDGER))]
    grant = {"kind": "grant", "entry_id": "x", "amount": "1"}
    assert (admin(key="caller", **grant)[0], admin(key="other", **grant)[0]) == (403, 401)
    for wrong, named in (
        ({"amount": 1.5}, "amount"),
        ({"amount": "0.0000000000001"}, "amount"),
        ({"amount": "-1"}, "positive"),
        ({"entry_id": ""}, "entry_id"),
        ({"entry_id": "x" * 300}, "entry_id"),
        ({"kind": "charge"}, "kind"),
        ({"expires": "2027-01-01"}, "expires"),
        ({"reference": "r"}, "reference"),
        ({"voids": "y"}, "voids"),
        ({"kind": "void", "amount": None, "voids": "never"}, "never"),
    ):
        status, answer = admin(**{**grant, **wrong})
        assert (status, named in answer["error"]) == (422, True), answer
    assert [log.end(LEDGER, partition) for partition in range(log.partitions(LEDGER))] == before


def test_without_an_admin_key_nobody_may(bootstrap: str) -> None:
    desk = desk_of({"bootstrap.servers": bootstrap})
    with served(make_app(parts(desk=desk))) as url:
        assert httpx.post(f"{url}/v1/credit", json={}).status_code == 403
    with pytest.raises(Misconfigured, match="admin key"):
        run(GatewayConfig(bootstrap, keys=("a", "b"), admin_keys=("b",), desk=desk))


def test_p01_a_restore_waits_for_an_open_transaction_and_ends_at_its_marker(bootstrap: str) -> None:
    """The dead owner's transaction is the last thing on the state topic, and its marker the last offset."""
    topic, client = "p01.state", {"bootstrap.servers": bootstrap}
    admin = AdminClient(client)
    admin.create_topics([NewTopic(topic, 1, config={"cleanup.policy": "compact"})])[topic].result(30)
    owners = [Producer({**client, "transactional.id": "p01"}) for _ in range(2)]
    owners[0].init_transactions()
    for value, commits in ((b"old", True), (b"newest", True), (b"never", False)):
        owners[0].begin_transaction()
        owners[0].produce(topic, value, b"acme", 0)
        assert owners[0].flush(30) == 0
        if commits:
            owners[0].commit_transaction()
    log, fenced = KafkaLogReader(client), Event()

    def restored() -> tuple[bool, list[bytes | None]]:
        values = [value for batch in log.read(topic, 0, 0, log.end(topic, 0)) for value in batch.values]
        return fenced.is_set(), values

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(restored)
        assert not wait([asked], 1.0).done
        fenced.set()
        owners[1].init_transactions()  # aborts what the dead owner left open
        assert asked.result(60) == (True, [b"old", b"newest"])
    assert restored() == (True, [b"old", b"newest"])


def _balance(booked: Booked) -> Decimal | None:
    return None if booked.state is None else booked.state.balance
