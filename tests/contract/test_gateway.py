"""The gateway as a real process before real Kafka: 202 means it is there, anything else means nothing was promised."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from support.broker import broker, eventually, read_all
from support.events import event
from support.gateway_app import served
from support.gateway_process import Gateway, Load
from support.inline_meter import InlineMeter
from support.texts import ODD_TEXTS
from tokenmeter.cli.app import app
from tokenmeter.emit.gateway import GatewayConfig, Parts, make_app, run
from tokenmeter.emit.gateway.outbox import KafkaOutbox, Outgoing
from tokenmeter.emit.gateway.ring import KeyRing
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.events.errors import Misconfigured
from tokenmeter.flow.meter.dedup import payload
from tokenmeter.stack.kafka import KafkaNode

KEY = {"Authorization": "Bearer k-1"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with broker(folder) as kafka:
        started = Gateway(folder, kafka, "--credit")
        try:
            yield started
        finally:
            started.child.kill()  # the last test has taken its broker away: it would wait for it


def rows(first: int, count: int, **fields: Any) -> list[dict[str, Any]]:
    at = datetime.now(UTC)
    return [
        json.loads(event(n, occurred_at=at, source="", sequence=None, **fields).model_dump_json())
        for n in range(first, first + count)
    ]


def test_what_is_answered_202_is_on_the_topic(gateway: Gateway) -> None:
    sent = rows(0, 500)
    answer = httpx.post(gateway.url, json=sent, headers=KEY, timeout=30)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 500}), answer.text
    text = "\n".join(json.dumps(row) for row in rows(500, 3))
    lines = {**KEY, "Content-Type": "application/x-ndjson"}
    assert httpx.post(gateway.url, content=text, headers=lines, timeout=30).json() == {"accepted": 3}
    assert httpx.post(gateway.url, json=rows(503, 1)[0], headers=KEY, timeout=30).json() == {"accepted": 1}
    assert gateway.ids() >= {f"event-{n:08d}" for n in range(504)}


def test_any_text_arrives_as_it_was_sent_and_a_price_rounded(gateway: Gateway) -> None:
    """The shared cases I01 and O02 through real Kafka: each text in a record of its own, and its key beside it."""
    sent = rows(1_000, len(ODD_TEXTS))
    for row, text in zip(sent, ODD_TEXTS, strict=True):
        row |= {"customer_id": text, "end_user_id": text, "reported_cost": 0.1 + 0.2}
    answer = httpx.post(gateway.url, json=sent, headers=KEY, timeout=30)
    assert answer.status_code == 202, answer.text
    ids = {row["event_id"] for row in sent}
    found = [(record.key, decode(record.value).record) for record in read_all(gateway.kafka.bootstrap, EVENTS)]
    mine = sorted(((key, told) for key, told in found if told["event_id"] in ids), key=lambda one: one[1]["event_id"])
    assert [told["customer_id"] for _, told in mine] == [told["end_user_id"] for _, told in mine] == list(ODD_TEXTS)
    assert [key for key, _ in mine] == [text.encode() for text in ODD_TEXTS]
    assert {told["reported_cost"] for _, told in mine} == {Decimal("0.3")}


def test_before_a_call_it_says_whether_the_customer_may(gateway: Gateway) -> None:
    url = gateway.url.replace("events", "allowed/nobody")
    assert httpx.get(url).status_code == 401
    answer = eventually("it has caught up", lambda: _caught_up(httpx.get(url, headers=KEY)))
    assert answer.status_code == 200
    assert answer.json() | {"age_s": 0} == {"allowed": True, "reason": "unknown", "account": "nobody", "age_s": 0}


def _caught_up(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.json()["reason"] == "stale" else answer


def test_one_bad_event_is_named_and_nothing_of_its_request_is_sent(gateway: Gateway) -> None:
    before = gateway.ids()
    late = (datetime.now(UTC) - timedelta(days=36)).isoformat()
    for change, field, reason in [
        ({"input_tokens": "many"}, "input_tokens", "integer"),
        ({"occurred_at": late}, "occurred_at", "late"),
        ({"prompt": "hello"}, "prompt", "not permitted"),
    ]:
        sent = rows(9_000, 3)
        sent[1].update(change)
        answer = httpx.post(gateway.url, json=sent, headers=KEY, timeout=30)
        assert answer.status_code == 422
        fault = answer.json()["faults"][0]
        assert (fault["index"], fault["field"]) == (1, field)
        assert reason in fault["reason"]
        assert "hello" not in answer.text, "content is never echoed"
    assert gateway.ids() == before


def test_who_has_no_key_or_sends_something_else_is_refused(gateway: Gateway) -> None:
    one = rows(9_100, 1)
    assert httpx.post(gateway.url, json=one).status_code == 401
    assert httpx.post(gateway.url, json=one, headers={"Authorization": "Bearer k-3"}).status_code == 401
    assert httpx.post(gateway.url, content=b"{}", headers={**KEY, "Content-Type": "text/plain"}).status_code == 415
    assert httpx.post(gateway.url, content=b"{", headers={**KEY, "Content-Type": "application/json"}).status_code == 422
    large = b'"' + b"x" * (9 << 20) + b'"'
    answer = httpx.post(gateway.url, content=large, headers={**KEY, "Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == 413


def test_an_open_address_without_keys_is_refused() -> None:
    with pytest.raises(Misconfigured, match="TOKENMETER_GATEWAY_KEYS"):
        run(GatewayConfig("127.0.0.1:1", host="0.0.0.0", port=0, ready_s=0, client={"log_level": 0}))


def keys(kafka: KafkaNode, *arguments: str) -> str:
    """``tokenmeter keys``: what it printed, last line."""
    env = {"TOKENMETER_KAFKA_BOOTSTRAP": kafka.bootstrap}
    ran = CliRunner().invoke(app, ["keys", *arguments], env=env)
    assert ran.exit_code == 0, ran.output
    return ran.output.strip().splitlines()[-1]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_i03_a_revoked_key_is_refused_within_a_second_by_two_gateways_under_load(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The fault: a key is stolen. From a second after its revocation on nobody takes anything from it."""
    other = Gateway(tmp_path, gateway.kafka, name="other")
    try:
        secret = keys(gateway.kafka, "add", "stolen", "--customer", "cus_1")
        client = httpx.Client(headers=bearer(secret), timeout=60)
        urls = (gateway.url, other.url)

        def post(number: int) -> int:
            return client.post(urls[number % 2], json=rows(20_000 + number, 1, customer_id="cus_1")[0]).status_code

        with client, Load(post, per_s=100, threads=8).running() as load:
            eventually("the new key is taken by both", lambda: load.statuses().count(202) > 100, timeout_s=120)
            assert "revoked" in keys(gateway.kafka, "revoke", "stolen")
            revoked_at = time.monotonic()
            seen = len(load.answers)
            eventually("both refuse it", lambda: load.statuses()[seen:].count(401) > 100, timeout_s=120)
        last_taken_at = max(begun for begun, status, _ in load.answers if status == 202)
        # A gateway waits for the machine as this process does, several times between the broker and an answer.
        assert last_taken_at - revoked_at <= 1 + 5 * load.stalled_s
        assert set(load.statuses()) == {202, 401}, "under load nothing else was answered"
        assert httpx.post(other.url, json=rows(29_999, 1), headers=KEY, timeout=60).status_code == 202, "another key"
    finally:
        other.child.kill()


def test_a_rotated_key_goes_on_and_the_new_one_is_the_same_customer_s(gateway: Gateway) -> None:
    first = keys(gateway.kafka, "add", "acme", "--customer", "acme", "--rights", "usage")
    second = keys(gateway.kafka, "rotate", "acme", "--overlap-hours", "1")
    assert first != second and first not in gateway.child.log.read_text()

    def status(secret: str, number: int, customer: str) -> int:
        sent = rows(number, 1, customer_id=customer)[0]
        return httpx.post(gateway.url, json=sent, headers=bearer(secret), timeout=30).status_code

    eventually("the new key is known", lambda: status(second, 30_000, "acme") == 202)
    assert [status(one, n, "acme") for n, one in enumerate((first, second), 30_001)] == [202, 202]
    assert [status(one, n, "other") for n, one in enumerate((first, second), 30_003)] == [403, 403]
    told = json.loads(keys(gateway.kafka, "list", "--json"))
    mine = [one for one in told if one["key_id"] == "acme"]
    assert [one["valid"] for one in mine] == [True, True] and "secret" not in str(told)


def test_what_was_answered_202_before_a_kill_is_there_and_counts_once(gateway: Gateway) -> None:
    """The fault: kill -9 under load. Callers send again whatever was not answered; every event is metered once."""
    client = httpx.Client(headers=KEY, timeout=60)

    def post(number: int) -> int:
        sent = sent_before.setdefault(number % 400, rows(40_000 + 10 * (number % 400), 10))
        return client.post(gateway.url, json=sent).status_code

    sent_before: dict[int, list[dict[str, object]]] = {}
    with client, Load(post, per_s=400, threads=8).running() as load:
        eventually("it takes events", lambda: load.statuses().count(202) > 50, timeout_s=120)
        gateway.child.kill()
        gateway.start()
        before = load.statuses().count(202)
        eventually("it takes events again", lambda: load.statuses().count(202) > before + 450, timeout_s=120)
    promised = {row["event_id"] for _, status, n in load.answers if status == 202 for row in sent_before[n % 400]}
    records = [record for record in gateway.records() if record["event_id"] in promised]
    assert {record["event_id"] for record in records} == promised
    assert len(records) > len(promised), "nothing was sent twice: the kill hit nobody"
    payloads = {json.dumps({name: record[name] for name in payload()}, default=str) for record in records}
    assert len(payloads) == len(promised), "what is sent again is the same call to the meter"
    meter = InlineMeter(gateway.kafka.bootstrap)
    meter.page()
    meter.close()
    page = decode(read_all(gateway.kafka.bootstrap, PAGES)[-1].value).record
    metered = {
        decode(one.value).record["event_id"] for one in read_all(gateway.kafka.bootstrap, EVENTS) if not one.partition
    }
    assert page["events"] == len(metered) and page["quarantined"] == 0


class Eager(KafkaOutbox):
    """The mutant: promises what it has only handed to the client."""

    async def send(self, events: Sequence[Outgoing], within_s: float) -> Sequence[bool]:
        await super().send(events, 0)
        return [True] * len(events)

    def close(self) -> None:
        """Gone, as after kill -9."""


def test_while_the_broker_is_away_nothing_is_promised_and_afterwards_nothing_is_lost(gateway: Gateway) -> None:
    """The fault: the broker is away for longer than a request waits. Callers send again until they are answered 202."""
    made = make_app(Parts(KafkaOutbox(gateway.kafka.bootstrap), KeyRing({}), within_s=0.5))
    sent = rows(50_000, 40)
    with served(made) as url:
        client = httpx.Client(base_url=url, timeout=60)

        def post(number: int) -> int:
            return client.post("/v1/events", json=sent[number % 40]).status_code

        with client, Load(post, per_s=50, threads=4).running() as load:
            eventually("it takes events", lambda: 202 in load.statuses())
            gateway.kafka.kill()
            down_at = time.monotonic()
            seen = len(load.answers)
            eventually("it promises nothing", lambda: load.statuses()[seen:].count(503) > 4, timeout_s=120)
            away = [status for begun, status, _ in load.answers if begun > down_at]
            assert set(away) == {503}
            with served(make_app(Parts(Eager(gateway.kafka.bootstrap), KeyRing({})))) as hasty:
                assert httpx.post(f"{hasty}/v1/events", json=sent[0]).status_code == 202, "the control would be caught"
            gateway.kafka.start()
            seen = len(load.answers)
            eventually("it takes events again", lambda: load.statuses()[seen:].count(202) > 60, timeout_s=120)
    promised = {sent[number % 40]["event_id"] for _, status, number in load.answers if status == 202}
    assert promised == {row["event_id"] for row in sent} <= gateway.ids()


def test_what_kafka_does_not_acknowledge_is_not_promised(gateway: Gateway) -> None:
    """Runs last: it takes the broker away."""
    gateway.kafka.kill()
    answer = httpx.post(gateway.url, json=rows(9_200, 5), headers=KEY, timeout=60)
    assert answer.status_code == 503
    assert "0 of 5 events" in answer.json()["error"]
    assert "send all of them again" in answer.json()["error"]
    # I03 again: nobody can say any more which keys of the catalog are valid.
    stale = eventually("it says so", lambda: (gateway.health() or {})["gateway_keys"]["stale"], timeout_s=120)
    assert stale
    health = gateway.health() or {}
    assert (health["ok"], health["why"]) == (False, "which keys are valid cannot be read from Kafka at present")
    told = httpx.post(gateway.url, json=rows(9_300, 1), headers=bearer("acme"), timeout=60)
    assert (told.status_code, told.headers["retry-after"]) == (503, "1")
    url = gateway.url.replace("events", "allowed/nobody")
    assert httpx.get(url, headers=KEY).status_code == 200, "the gateway's own keys need no Kafka"
