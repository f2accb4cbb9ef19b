"""What comes in at the front door: bodies, CloudEvents, limits, names of hosts, and an answer for each event."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard

from support.gateway_parts import Client, Told, key_row, parts, row
from tokenmeter.emit.gateway import events
from tokenmeter.emit.gateway.bodies import BODY_BYTES_MAX
from tokenmeter.emit.gateway.limits import Bucket

JSON = {"content-type": "application/json"}
SEQUENCE = 4_611_686_018_427_387_904


@pytest.fixture
def client() -> Client:
    return Client(parts())


def send(client: Client, body: bytes | str, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
    told = {"content-type": kind, **{name.replace("_", "-"): text for name, text in headers.items()}}
    answer = client("POST", "/v1/events", content=body, headers=told)
    return answer.status_code, answer.json()


def test_what_json_readers_let_pass_is_refused_by_name(client: Client) -> None:
    good = json.dumps(row())
    for bad, field in (
        (good.replace('"input_tokens"', '"input_tokens": 1, "input_tokens"'), "input_tokens"),
        (json.dumps(row(input_tokens=True)), "input_tokens"),
        (json.dumps(row(status=False)), "status"),
        (json.dumps(row(sequence=SEQUENCE)), "sequence"),
        (json.dumps(row(cached_input_tokens=10**9)), "cached_input_tokens"),
        (json.dumps(row(output_tokens=-1)), "output_tokens"),
        (json.dumps(row(corrects="e")), "corrects"),
        (json.dumps(row(event_id="é" * 40)), "event_id"),
        (json.dumps(row(kind="CORRECTION", corrects=None)), "corrects"),
    ):
        for body, place in ((bad, 0), (f"[{good},{bad}]", 1)):
            status, answer = send(client, body)
            assert status == 422, bad
            assert (answer["faults"][0]["index"], answer["faults"][0]["field"]) == (place, field)
    assert client.outbox.records == []


ODD_BODIES = (
    b'{"\\ud800": 1, "\\ud800": 2}',
    b'[{"\\ud800": 1}]',
    b'{"event_id": ' + b"9" * 5_000 + b"}",
    b'{"sequence": 1e400, "tags": NaN}',
    b"\xff\xfe",
    b'[[], null, 7, "x"]',
)


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "application/cloudevents-batch+json"])
def test_no_body_however_odd_is_a_fault_of_ours(client: Client, kind: str) -> None:
    good = json.dumps(row())[:-1].encode()
    deep = [good + b', "tags": ' + b"[" * depth + b"]" * depth + b"}" for depth in range(900, 1_000)]
    for body in (*ODD_BODIES, *(deep if kind in events.JSON_TYPES else deep[:1])):
        assert send(client, body, kind)[0] == 422, body[-80:]
    assert client.outbox.records == []


def test_a_number_of_a_source_is_kept_under_the_name_of_the_key_that_sent_it() -> None:
    client = Client(parts(("own",), told=Told(key_row("s", key_id="k-1", customer_id="acme"))))
    numbered = {"source": "gateway", "sequence": SEQUENCE, "customer_id": "acme"}
    assert client.post(row(0, **numbered), "s").status_code == 202
    assert client.post(row(1, **numbered), "own").status_code == 202
    sources = [(one["source"], one["sequence"]) for one in client.outbox.records]
    assert sources == [("k-1/gateway", SEQUENCE), ("gateway", SEQUENCE)]


def test_who_may_name_customers_names_one_for_all_events_that_name_none() -> None:
    client = Client(parts(("own",)))
    nameless = [{name: value for name, value in row(n).items() if name != "customer_id"} for n in range(2)]
    sent = [*nameless, row(2, customer_id="other")]
    headers = {"tokenmeter-customer": "cus%20%C3%A9"}
    assert client.post(sent, "own", headers=headers).status_code == 202
    assert [one["customer_id"] for one in client.outbox.records] == ["cus é", "cus é", "other"]
    assert client.outbox.keys == ["cus é".encode(), "cus é".encode(), b"other"]
    faults = client.post(nameless, "own").json()["faults"]
    assert [(one["index"], one["field"]) for one in faults] == [(0, "customer_id"), (1, "customer_id")]


def test_without_keys_only_those_who_meant_this_machine_are_answered(client: Client) -> None:
    for host, status in (
        ("evil.example", 421),
        ("localhost.evil.example:8090", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("localhost:8090", 202),
        ("127.0.0.1", 202),
        ("[::1]:8090", 202),
    ):
        assert client.post(row(), headers={"host": host}).status_code == status, host
    assert client("GET", "/health", headers={"host": "pod-7"}).status_code == 200
    keyed = Client(parts(("k",)))
    assert keyed.post(row(), "k", headers={"host": "meter.example"}).status_code == 202


def test_without_keys_nobody_corrects_or_gives_credit(client: Client) -> None:
    assert client.post(row(kind="CORRECTION", corrects="e", input_tokens=-1)).status_code == 403
    assert client("POST", "/v1/credit", json={}).status_code == 403


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_bodies_are_read_and_those_that_are_cut_off_or_too_large_are_not(client: Client, name: str) -> None:
    pack = PACKED[name]
    lines = b"".join(json.dumps(row(n)).encode() + b"\n" for n in range(50))
    kind = "application/x-ndjson"
    assert send(client, pack(lines), kind, content_encoding=name) == (202, {"accepted": 50})
    halves = pack(lines[: len(lines) // 2]) + pack(lines[len(lines) // 2 :])
    assert send(client, halves, kind, content_encoding=name)[0] == 202
    assert len(client.outbox.records) == 100
    for cut in (1, 3, len(pack(lines)) // 2):
        assert send(client, pack(lines)[:-cut], kind, content_encoding=name)[0] == 400, cut
    assert send(client, lines, kind, content_encoding=name)[0] == 400
    bomb = pack(b" " * (BODY_BYTES_MAX + 1))
    assert len(bomb) < 100_000
    assert send(client, bomb, content_encoding=name)[0] == 413
    assert len(client.outbox.records) == 100


def test_another_encoding_is_refused(client: Client) -> None:
    assert send(client, zlib.compress(b"{}"), content_encoding="deflate")[0] == 415


def cloud(number: int, **attributes: Any) -> dict[str, Any]:
    data = row(number)
    at, customer, name = data.pop("occurred_at"), data.pop("customer_id"), data.pop("event_id")
    told = {"specversion": "1.0", "id": name, "source": "/router", "type": "tokenmeter.usage.v1", "data": data}
    return {**told, "time": at, "subject": customer, **attributes}


def test_cloudevents_come_structured_batched_and_binary(client: Client) -> None:
    assert send(client, json.dumps(cloud(0)), "application/cloudevents+json") == (202, {"accepted": 1})
    batch = json.dumps([cloud(1), cloud(2)])
    assert send(client, batch, "application/cloudevents-batch+json") == (202, {"accepted": 2})
    told = cloud(3, subject="cus é")
    data = json.dumps(told.pop("data"))
    headers = {f"ce-{name}": text.replace(" é", "%20%C3%A9") for name, text in told.items()}
    answer = client("POST", "/v1/events", content=data, headers={**JSON, **headers})
    assert answer.status_code == 202, answer.text
    expected = [row(n) for n in range(4)]
    found = [(one["event_id"], one["customer_id"], one["input_tokens"]) for one in client.outbox.records]
    assert found[:3] == [(one["event_id"], one["customer_id"], one["input_tokens"]) for one in expected[:3]]
    assert found[3][1] == "cus é"
    assert abs(client.outbox.records[0]["occurred_at"] - datetime.now(UTC)).total_seconds() < 60


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"type": "com.example.other"}, "type"),
        ({"id": ""}, "id"),
        ({"source": 7}, "source"),
        ({"data": "text"}, "data"),
        ({"data_base64": "e30="}, "data_base64"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"data": {**cloud(9)["data"], "event_id": "another"}}, "data.event_id"),
        ({"data": {**cloud(9)["data"], "customer_id": "another"}}, "data.customer_id"),
        ({"time": "yesterday"}, "occurred_at"),
    ],
)
def test_a_cloudevent_that_is_none_is_refused_by_its_attribute(client: Client, change: Any, field: str) -> None:
    status, answer = send(client, json.dumps(cloud(9, **change)), "application/cloudevents+json")
    assert (status, answer["faults"][0]["field"]) == (422, field)
    status, answer = send(client, json.dumps([cloud(8), cloud(9, **change)]), "application/cloudevents-batch+json")
    assert (status, answer["faults"][0]["index"]) == (422, 1)


def test_a_single_cloudevent_is_no_batch(client: Client) -> None:
    assert send(client, json.dumps([cloud(1)]), "application/cloudevents+json")[0] == 422
    assert send(client, json.dumps(cloud(1)), "application/cloudevents-batch+json")[0] == 422


def test_one_bad_event_does_not_reject_its_neighbours_when_the_caller_asks_for_it() -> None:
    client = Client(parts(told=Told(key_row("s", customer_id="acme"))))
    rows = [
        row(0, customer_id="acme"),
        row(1, customer_id="acme", input_tokens=-5),
        row(2, customer_id="other"),
        {name: value for name, value in row(3).items() if name != "customer_id"},
        7,
        row(5, customer_id="acme", kind="CORRECTION", corrects="e"),
        row(6, customer_id="acme", event_id="not-acknowledged"),
    ]
    client.outbox.takes = lambda record: record["event_id"] != "not-acknowledged"
    assert client.post(rows, "s").status_code == 422
    assert client.outbox.records == []
    answer = client.post(rows, "s", params={"partial": "true"})
    statuses = [one["status"] for one in answer.json()["results"]]
    assert (answer.status_code, statuses) == (207, [202, 422, 403, 202, 422, 403, 503])
    assert [one["index"] for one in answer.json()["results"]] == list(range(7)) and answer.json()["accepted"] == 2
    assert answer.json()["results"][1]["faults"][0]["field"] == "input_tokens"
    assert {one["event_id"] for one in client.outbox.records} == {rows[0]["event_id"], rows[3]["event_id"]}
    assert {one["customer_id"] for one in client.outbox.records} == {"acme"}
    assert client.post(rows[:1], "s", params={"partial": "true"}).status_code == 202
    assert client.post(rows[:1], "s", params={"partial": "perhaps"}).status_code == 422


def test_what_kafka_does_not_acknowledge_is_503_and_says_how_much_arrived() -> None:
    client = Client(parts())
    client.outbox.takes = lambda record: record["event_id"] != row(1)["event_id"]
    answer = client.post([row(0), row(1)])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "1 of 2 events" in answer.json()["error"]


def test_a_key_beyond_its_limit_comes_again_and_nothing_it_was_promised_is_dropped() -> None:
    told = Told(key_row("few", events_per_s=10), key_row("small", bytes_per_s=1_000), key_row("free"))
    client = Client(parts(told=told))
    promised = 0
    answers = []
    for n in range(5):
        answers.append(client.post([row(10 * n + m) for m in range(4)], "few"))
        promised += answers[-1].json().get("accepted", 0)
    assert [answer.status_code for answer in answers][:3] == [202, 202, 202], "a bucket may be left in debt"
    refused = answers[-1]
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    assert len(client.outbox.records) == promised
    assert client.post([row(n) for n in range(100)], "small").status_code == 202
    assert client.post(row(), "small").status_code == 429
    assert client.post([row(n) for n in range(100)], "free").status_code == 202, "another key is not held up"


def test_a_bucket_fills_at_its_rate_and_no_further() -> None:
    bucket = Bucket(10, now=0.0)
    bucket.take(25)
    assert bucket.wait_s(0.0) == pytest.approx(1.5)
    assert bucket.wait_s(1.4) > 0 and bucket.wait_s(1.6) == 0
    assert bucket.wait_s(1_000) == 0
    bucket.take(10)
    assert bucket.wait_s(1_000) > 0
