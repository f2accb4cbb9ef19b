"""Every recorded call in ``recorded/`` through the real client: what its file expects is what is metered.

The client's connection is exchanged for the recording, so it calls the address that the file names and nobody else. The
shapes are real (``source`` says whose), the figures are ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AzureOpenAI, OpenAI

from support.sinks import Kept
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.openai import metered
from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import QUANTITY_FIELDS

FOLDER = Path(__file__).parent / "recorded"
MESSAGES: list[Any] = [{"role": "user", "content": "SECRET"}]
FIELDS = {"source", "base_url", "call", "refuses", "expected", "payload"}
CALLS = {"chat", "chat_stream", "images", "responses_stream", "responses_background"}


CASES = [pytest.param(json.loads(path.read_text()), id=path.stem) for path in sorted(FOLDER.glob("*.json"))]


class Recording:
    """Answers with the payloads of a case, one a request (the last one again and again), or all as one stream."""

    def __init__(self, case: dict[str, Any]) -> None:
        payload = case["payload"]
        self._documents = [*payload] if isinstance(payload, list) else [payload]
        self._streamed = case["call"].endswith("_stream")
        self._refuses = case.get("refuses")
        self.requests = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content or b"{}")
        self.requests += 1
        if self._refuses in body:
            return httpx2.Response(400, json={"error": {"message": f"Unrecognized argument: {self._refuses}"}})
        if self._streamed:
            events = "".join(f"event: {one.get('type', 'x')}\ndata: {json.dumps(one)}\n\n" for one in self._documents)
            head = {"content-type": "text/event-stream"}
            return httpx2.Response(200, headers=head, content=f"{events}data: [DONE]\n\n".replace("event: x\n", ""))
        return httpx2.Response(200, json=self._documents.pop(0) if len(self._documents) > 1 else self._documents[0])


def client_of(case: dict[str, Any]) -> tuple[Any, Recording]:
    answers = Recording(case)
    settings: dict[str, Any] = {"api_key": "k", "max_retries": 0}
    settings["http_client"] = httpx2.Client(transport=httpx2.MockTransport(answers))
    kind, _, version = case["base_url"].partition(":")
    if kind == "azure":
        endpoint = "https://somebody.openai.azure.com"
        return AzureOpenAI(azure_endpoint=endpoint, api_version=version, **settings), answers
    return OpenAI(base_url=case["base_url"], **settings), answers


def perform(client: Any, call: str) -> list[str]:
    """What its caller sees."""
    if call == "chat":
        return [client.chat.completions.create(model="m-1", messages=MESSAGES).to_json()]
    if call == "images":
        return [client.images.generate(model="dall-e-3", prompt="SECRET").to_json()]
    if call == "chat_stream":
        return [one.to_json() for one in client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)]
    if call == "responses_stream":
        return [one.to_json() for one in client.responses.create(model="gpt-5", input="x", stream=True)]
    made = client.responses.create(model="gpt-5", input="x", background=True)
    return [made.to_json(), *(client.responses.retrieve(made.id).to_json() for _ in range(2))]


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_call_is_unbroken_and_metered_as_it_says(case: dict[str, Any]) -> None:
    assert set(case) <= FIELDS and case["call"] in CALLS
    sink = Kept()
    meter = Meter(sink, background=False, customer_id="acme")
    plain, _ = client_of(case)
    client, answers = client_of(case)
    with plain, client:
        assert perform(metered(client, meter), case["call"]) == perform(plain, case["call"])
    expected = case["expected"]
    if expected.get("unbroken"):
        assert answers.requests == 2 and sum(meter.stats.lost.values()) + len(sink.events) == 1
    elif expected.get("failed"):
        assert sink.only().status >= 400 and sink.only().error_class
    else:
        assert figures(sink.only()) == expected
    assert meter.stats.open == 0


def figures(event: UsageEvent) -> dict[str, int]:
    return {name: value for name in QUANTITY_FIELDS if (value := getattr(event, name))}
