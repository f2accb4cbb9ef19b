"""The gateway as a real process before real Kafka: 202 means it is there, anything else means nothing was promised."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from support.broker import broker, eventually, read_all
from support.events import event
from support.texts import ODD_TEXTS
from tokenmeter.emit.gateway import GatewayConfig, run
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.children import Child
from tokenmeter.stack.kafka import KafkaNode, free_port

KEY = {"Authorization": "Bearer k-1"}


class Gateway:
    """The command in a process of its own."""

    def __init__(self, folder: Path, kafka: KafkaNode) -> None:
        self.kafka = kafka
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1/events"
        env = {"TOKENMETER_KAFKA_BOOTSTRAP": kafka.bootstrap, "TOKENMETER_GATEWAY_KEYS": "k-1,k-2"}
        command = [sys.executable, "-m", "tokenmeter.stack.cli", "gateway", "--port", str(port), "--credit"]
        self.child = Child("gateway", command, folder / "gateway.log", env)
        self.child.start()

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health", verify=False).is_success
            except httpx.HTTPError:
                return False

        eventually("the gateway answers", answers)

    def ids(self) -> set[str]:
        return {decode(record.value).record["event_id"] for record in read_all(self.kafka.bootstrap, EVENTS)}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with broker(folder) as kafka:
        started = Gateway(folder, kafka)
        try:
            yield started
        finally:
            started.child.kill()  # the last test has taken its broker away: it would wait for it


def rows(first: int, count: int) -> list[dict[str, object]]:
    at = datetime.now(UTC)
    return [
        json.loads(event(n, occurred_at=at, source="", sequence=None).model_dump_json())
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
        run(GatewayConfig("127.0.0.1:1", host="0.0.0.0"))


def test_what_kafka_does_not_acknowledge_is_not_promised(gateway: Gateway) -> None:
    """Runs last: it takes the broker away."""
    gateway.kafka.kill()
    answer = httpx.post(gateway.url, json=rows(9_200, 5), headers=KEY, timeout=60)
    assert answer.status_code == 503
    assert "0 of 5 events" in answer.json()["error"]
    assert "send all of them again" in answer.json()["error"]
