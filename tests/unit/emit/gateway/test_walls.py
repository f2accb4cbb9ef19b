"""No request finds a 500, and no key of one customer writes or reads as another, whatever is sent where."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.gateway_parts import ALL_RIGHTS, Client, Told, key_row, parts, row
from tokenmeter.emit.credit.answer import OK
from tokenmeter.emit.gateway import events, make_app
from tokenmeter.emit.gateway.keys import Caller
from tokenmeter.emit.gateway.openapi import document, page
from tokenmeter.emit.gateway.routes import ROUTES, RouteInfo

MINE, OTHER = "acme", "rival/é"


class Credit:
    """A cache that has been asked of whom."""

    age_s = 0.0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def allowed(self, customer: str, **named: Any) -> Any:
        self.asked.append(customer)
        return OK

    def close(self) -> None:
        """Nothing to close."""


class World:
    """A gateway with a key of MINE, and all that anybody has written or read through it."""

    def __init__(self) -> None:
        self.credit = Credit()
        self.read: list[str] = []

        def usage_of(customer: str, named: Any) -> dict[str, Any]:
            self.read.append(customer)
            return {}

        told = Told(
            key_row("mine", key_id="k", customer_id=MINE, rights=ALL_RIGHTS), key_row("admin", rights=ALL_RIGHTS)
        )
        made = parts(told=told, credit=self.credit, usage_of=usage_of, desk=lambda order: (200, {}))
        self.client = Client(made)

    def touched(self) -> set[str]:
        """The customers of whom anything was written or read."""
        outbox = self.client.outbox
        written = {record["customer_id"] for record in outbox.records} | {key.decode() for key in outbox.keys}
        return written | set(self.read) | set(self.credit.asked)


SPELLINGS = st.sampled_from([OTHER, OTHER.upper(), f" {OTHER}", f"{MINE}/../{OTHER}", f"{MINE}\n{OTHER}", MINE, ""])
IDS = st.sampled_from(["id", OTHER, f"{OTHER}:id", f"customer_id={OTHER}", "x" * 64])
PLACES = st.sampled_from(["json", "lines", "structured", "batched", "binary", "allowed", "usage", "credit"])


def attempt(client: Client, place: str, customer: str, name: str, header: str | None) -> int:
    told = row(customer_id=customer, event_id=name, source=OTHER, project_id=OTHER)
    headers = {} if header is None else {"tokenmeter-customer": quote(header), "customer-id": quote(header)}
    envelope = {"specversion": "1.0", "id": name, "source": OTHER, "type": "tokenmeter.usage.v1"}
    if place == "json":
        return client.post(
            [row(customer_id=MINE), told], "mine", headers=headers, params={"partial": "true"}
        ).status_code
    if place == "lines":
        kind = {**headers, "content-type": "application/x-ndjson"}
        return client("POST", "/v1/events", "mine", content=json.dumps(told), headers=kind).status_code
    if place in ("structured", "batched"):
        data = {name: value for name, value in told.items() if name != "customer_id"}
        made: Any = {**envelope, "subject": customer, "data": data}
        kind = {**headers, "content-type": "application/cloudevents+json"}
        if place == "batched":
            made, kind["content-type"] = [made], "application/cloudevents-batch+json"
        return client("POST", "/v1/events", "mine", content=json.dumps(made), headers=kind).status_code
    if place == "binary":
        attributes = {f"ce-{key}": quote(value) for key, value in {**envelope, "subject": customer}.items()}
        return client.post({**told}, "mine", headers={**headers, **attributes}).status_code
    if place == "allowed":
        return client("GET", f"/v1/allowed/{quote(customer)}", "mine", headers=headers).status_code
    if place == "usage":
        return client("GET", "/v1/usage", "mine", params={"customer": customer}, headers=headers).status_code
    return client("POST", "/v1/credit", "mine", json={"account_id": customer}, headers=headers).status_code


@settings(max_examples=60, deadline=None)
@given(PLACES, SPELLINGS, IDS, st.none() | SPELLINGS)
def test_a_key_of_one_customer_writes_and_reads_as_no_other(
    place: str, customer: str, name: str, header: str | None
) -> None:
    world = World()
    status = attempt(world.client, place, customer, name, header)
    assert world.touched() <= {MINE}, (place, customer, header)
    assert status < 500 and (status not in (200, 202) or customer in (MINE, ""))


def test_its_own_customer_s_key_reaches_every_place() -> None:
    """Were everything refused, nothing would have been tried."""
    world = World()
    for place in ("json", "lines", "structured", "batched", "binary", "allowed", "usage"):
        assert attempt(world.client, place, MINE, "id", None) in (200, 202, 207), place
    assert world.client("GET", "/v1/usage", "admin", params={"customer": OTHER}).status_code == 200
    assert world.touched() == {MINE, OTHER}


@pytest.mark.parametrize("place", ["json", "lines", "binary", "allowed"])
def test_a_gateway_that_asks_no_key_whose_it_is_is_caught(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(Caller, "may_name", lambda self, customer: True)
    world = World()
    attempt(world.client, place, OTHER, "id", None)
    assert OTHER in world.touched()


SCHEMA = schemathesis.openapi.from_dict(document())


def of_now(body: Any) -> Any:
    """Events as they were made but for their time and customer: any other time is late, and says nothing more."""
    if isinstance(body, list):
        return [of_now(one) for one in body]
    if isinstance(body, dict) and "occurred_at" in body:
        return {"customer_id": OTHER, **body, "occurred_at": datetime.now(UTC).isoformat()}
    return {**body, "data": row()} if isinstance(body, dict) and "specversion" in body else body


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=str)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation_id)
def test_no_request_that_the_document_allows_or_forbids_is_a_500(route: RouteInfo, mode: Any) -> None:
    world, answered = World(), set()
    made = SCHEMA[route.path][route.method].as_strategy(generation_mode=mode)

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(made)
    def ask(case: Any) -> None:
        told = case.as_transport_kwargs(base_url="http://localhost")
        headers = {name.lower(): str(text) for name, text in told["headers"].items() if str(text).isascii()}
        request = {name: told[name] for name in ("params", "json") if name in told}
        if "data" in told:
            request["content"] = told["data"]
        if mode == schemathesis.GenerationMode.POSITIVE and "json" in request:
            request["json"] = of_now(request["json"])
        headers["authorization"] = "Bearer admin"
        path = told["url"].removeprefix("http://localhost")
        answer = world.client(route.method, path, headers=headers, **request)
        assert answer.status_code in route.answers, (answer.status_code, answer.text)
        answered.add(answer.status_code)

    if mode in made_modes(route):
        ask()
        assert mode == schemathesis.GenerationMode.NEGATIVE or answered & {200, 202, 207}, answered


def made_modes(route: RouteInfo) -> tuple[Any, ...]:
    """Nothing can be wrong with a request that has neither parameters nor a body."""
    both = tuple(schemathesis.GenerationMode)
    return both if route.parameters or route.bodies else (schemathesis.GenerationMode.POSITIVE,)


def test_the_document_and_its_page_tell_of_every_route_and_fetch_nothing() -> None:
    app = make_app(parts())
    served = {(method, getattr(one, "path", "").replace(":path", "")) for one in app.routes for method in one.methods}  # type: ignore[attr-defined]
    told = {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}
    assert told == {one for one in served if one[0] != "HEAD"}
    client = Client(parts())
    assert client("GET", "/openapi.json").json() == document()
    text = client("GET", "/docs").text
    assert text == page() and all(route.path in text for route in ROUTES)
    assert "http://" not in text and "https://" not in text and "<script" not in text
    assert set(events.TYPES) == set(document()["paths"]["/v1/events"]["post"]["requestBody"]["content"])
