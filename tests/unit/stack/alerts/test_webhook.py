"""What is sent to a webhook: signed, idempotent, tried again; and what the README's receiver makes of it."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tokenmeter.events.errors import Misconfigured, Transient
from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.stack.alerts import webhook
from tokenmeter.stack.alerts.forward import group_of
from tokenmeter.stack.alerts.source import since
from tokenmeter.stack.alerts.webhook import Endpoint

EXAMPLE = Path(__file__).parents[3] / "contract" / "examples" / "receive_alerts.py"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SECRET = b"shared"
Answer = Callable[[httpx.Request], httpx.Response]


def alert(number: int = 0, **fields: Any) -> Alert:
    made: dict[str, Any] = {
        "alert_id": f"id-{number}",
        "account_id": "acme",
        "subject_kind": "account",
        "subject_id": "acme",
        "kind": "threshold",
        "state": AlertState.OPEN,
        "severity": AlertSeverity.WARNING,
        "amount": Decimal("0.000000000001"),
        "broker_at": NOW,
        "since": NOW,
        "sentence": "acme <!channel> has used 8 of 10 USD: 80 %",
    }
    return Alert(**{**made, **fields})


def endpoint(answer: Answer, **fields: Any) -> Endpoint:
    client = httpx.Client(transport=httpx.MockTransport(answer))
    return Endpoint("https://risk.example/alerts", SECRET, client, **{"clock": time.time, **fields})


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TOKENMETER_WEBHOOK_SECRET", SECRET.decode())
    spec = importlib.util.spec_from_file_location("receive_alerts", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def to(receiver: ModuleType, **fields: Any) -> Endpoint:
    client = TestClient(receiver.app, base_url="https://risk.example")
    return Endpoint("https://risk.example/alerts", client=client, **{"secret": SECRET, "clock": time.time, **fields})


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Endpoint.deliver.retry, "stop", lambda state: True)  # type: ignore[attr-defined]


def test_the_receiver_takes_an_alert_once_however_often_it_is_sent(receiver: ModuleType) -> None:
    for number in (0, 0, 1, 0):
        to(receiver).deliver(alert(number))
    assert [*receiver.taken] == ["id-0", "id-1"]
    assert Decimal(receiver.taken["id-0"]["amount"]) == Decimal("1e-12")


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(
    "wrong",
    [{"secret": b"other"}, {"secret": None}, {"clock": lambda: time.time() - 1_000}],
    ids=["another secret", "no signature", "signed long ago"],
)
def test_the_receiver_refuses_what_is_not_ours_or_old(receiver: ModuleType, wrong: dict[str, Any]) -> None:
    with pytest.raises(Transient, match="HTTP 401"):
        to(receiver, **wrong).deliver(alert())
    assert receiver.taken == {}


def test_the_receiver_refuses_another_body_under_our_signature(receiver: ModuleType) -> None:
    signed = webhook.signature(SECRET, int(time.time()), webhook.body(alert(0)))
    headers = {webhook.TIMESTAMP_HEADER: str(int(time.time())), webhook.SIGNATURE_HEADER: signed}
    answer = TestClient(receiver.app).post("/alerts", content=webhook.body(alert(1)), headers=headers)
    assert answer.status_code == 401 and receiver.taken == {}


def test_a_failing_endpoint_is_tried_again_with_a_new_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Endpoint.deliver.retry, "sleep", lambda seconds: None)  # type: ignore[attr-defined]
    seen: list[httpx.Request] = []
    times = iter((1_000.0, 1_060.0, 1_120.0))

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503 if len(seen) == 2 else 204)

    endpoint(answer, clock=lambda: next(times)).deliver(alert())
    assert [one.headers[webhook.TIMESTAMP_HEADER] for one in seen] == ["1000", "1060", "1120"]
    assert len({one.headers[webhook.SIGNATURE_HEADER] for one in seen}) == 3
    assert {one.headers[webhook.ID_HEADER] for one in seen} == {"id-0"}


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("status", [302, 400, 404, 410, 500])
def test_nothing_but_2xx_takes_an_alert_off_the_list(status: int) -> None:
    with pytest.raises(Transient, match=str(status)):
        endpoint(lambda request: httpx.Response(status)).deliver(alert())


def test_slack_gets_the_sentence_and_mentions_nobody() -> None:
    text = json.loads(webhook.slack_body(alert()))["text"]
    assert text == ":warning: acme &lt;!channel&gt; has used 8 of 10 USD: 80 %"
    assert "check_mark" in webhook.slack_body(alert(state=AlertState.RESOLVED)).decode()


def test_each_endpoint_and_account_has_a_group_that_does_not_show_its_url() -> None:
    groups = {group_of(url, account) for url in ("https://a/secret", "https://b/") for account in (None, "acme")}
    assert len(groups) == 4 and not any("secret" in group for group in groups)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", NOW - timedelta(seconds=90)), ("7d", NOW - timedelta(days=7)), ("2026-11-01T10:00", None)],
)
def test_since_is_a_while_ago_or_a_time(text: str, expected: datetime | None) -> None:
    assert since(text, NOW) == (expected or datetime(2026, 11, 1, 10, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "1w", "yesterday", "-1h"])
def test_since_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="--since"):
        since(text, NOW)
