"""OpenAI's responses that are answered later, or answered by saying that they failed, through the real client.

The shared cases 62 and 63: a background response is created without usage and fetched by a GET; a response that fails
is an answer of status 200.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from openai import APIConnectionError, AsyncOpenAI, OpenAI

from support.provider_answers import RESPONSES_TOKENS
from support.provider_server import ProviderServer
from support.sinks import Kept
from tokenmeter.emit.integrations import Meter, background_responses
from tokenmeter.emit.integrations.openai import metered


@pytest.fixture
def plain(server: ProviderServer) -> Iterator[OpenAI]:
    server.background.clear()
    server.fetches.clear()
    with OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def client(plain: OpenAI, meter: Meter) -> OpenAI:
    return metered(plain, meter, provider="openai")


def tokens(event: Any) -> dict[str, int]:
    return {n: v for n, v in event.model_dump().items() if n.endswith("_tokens") and v}


def create(client: OpenAI) -> str:
    return client.responses.create(model="gpt-5", input="SECRET", background=True).id


def test_a_background_response_is_one_event_however_often_it_is_fetched(
    client: OpenAI, meter: Meter, sink: Kept
) -> None:
    with meter.attributed(customer_id="umbrella"):
        identity = create(client)
    assert (meter.stats.open, sink.events) == (1, [])
    statuses = [client.responses.retrieve(identity).status for _ in range(4)]
    assert statuses == ["in_progress", "completed", "completed", "completed"]
    event = sink.only()
    assert tokens(event) == RESPONSES_TOKENS
    assert (event.customer_id, event.model, event.upstream_id) == ("umbrella", "openai/gpt-5", identity)
    # The provider's own times: whoever fetches it makes the same event.
    assert event.started_at == datetime.fromtimestamp(1, UTC) and event.occurred_at == datetime.fromtimestamp(61, UTC)
    assert event.duration_ms == 60_000
    assert (meter.stats.open, meter.stats.lost) == (0, {})


def test_what_another_process_fetches_is_the_same_event(
    plain: OpenAI, client: OpenAI, meter: Meter, sink: Kept
) -> None:
    identity = create(client)
    others = Kept()
    other = metered(plain, Meter(others, background=False, customer_id="acme"), provider="openai")
    for fetching in (client, client, other, other):
        fetching.responses.with_raw_response.retrieve(identity).parse()
    assert sink.only().event_id == others.only().event_id
    assert sink.only().occurred_at == others.only().occurred_at and tokens(others.only()) == RESPONSES_TOKENS


def test_a_foreground_response_that_is_fetched_was_metered_when_it_was_made(client: OpenAI, sink: Kept) -> None:
    made = client.responses.create(model="gpt-5", input="SECRET")
    assert client.responses.retrieve(made.id).usage == made.usage
    assert tokens(sink.only()) == RESPONSES_TOKENS


@pytest.mark.parametrize("model", ["endless", "breaks", "gpt-5"])
def test_a_background_stream_goes_on_without_its_reader_and_is_one_event(
    client: OpenAI, meter: Meter, sink: Kept, model: str
) -> None:
    """Cut, dropped or read to its end: afterwards it is fetched, and counts once."""
    stream = client.responses.create(model=model, input="SECRET", background=True, stream=True)
    identity = ""
    with contextlib.suppress(APIConnectionError):
        for number, event in enumerate(stream):
            if event.type == "response.created":
                identity = event.response.id
            if model == "endless" and number == 3:
                break
    stream.close()
    assert meter.stats.open == (model != "gpt-5")
    for _ in range(3):
        client.responses.retrieve(identity)
    assert tokens(sink.only()) == RESPONSES_TOKENS
    assert meter.stats.lost == {} and meter.stats.open == 0


def test_a_stream_that_is_taken_up_again_ends_its_call(client: OpenAI, meter: Meter, sink: Kept) -> None:
    identity = create(client)
    events = list(client.responses.retrieve(identity, stream=True))
    assert events[-1].type == "response.completed"
    assert list(client.responses.retrieve(identity, stream=True))[-1].type == "response.completed"
    assert tokens(sink.only()) == RESPONSES_TOKENS and sink.only().upstream_id == identity
    assert meter.stats.lost == {} and meter.stats.open == 0


def test_a_background_response_that_is_cancelled(client: OpenAI, sink: Kept, meter: Meter) -> None:
    identity = create(client)
    assert client.responses.cancel(identity).status == "cancelled"
    event = sink.only()
    assert (event.cancelled, event.error_class, event.output_tokens) == (True, "usage_unseen", 0)
    assert meter.stats.lost == {} and meter.stats.open == 0


def test_one_that_nobody_fetches_is_lost_and_not_guessed(
    client: OpenAI, meter: Meter, sink: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_responses, "WAITING_MAX", 1)
    create(client)
    create(client)
    assert meter.stats.lost == {"usage_missing": 1} and meter.stats.open == 1, "the oldest is given up"
    meter.close()
    assert meter.stats.lost == {"usage_missing": 2} and sink.events == []


def test_asynchronously(server: ProviderServer, plain: OpenAI, meter: Meter, sink: Kept) -> None:
    async def run() -> None:
        async with AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as bare:
            client = metered(bare, meter)
            made = await client.responses.create(model="gpt-5", input="SECRET", background=True)
            for _ in range(3):
                await client.with_options(timeout=9).responses.retrieve(made.id)

    asyncio.run(run())
    assert tokens(sink.only()) == RESPONSES_TOKENS


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_that_fails_is_an_event_of_its_failure(
    client: OpenAI, meter: Meter, sink: Kept, stream: bool
) -> None:
    answer = client.responses.create(model="response-fails", input="SECRET", stream=stream)
    if stream:
        assert [event.type for event in answer][-1] == "response.failed"
    event = sink.only()
    assert (event.status, event.error_class, event.cancelled) == (429, "rate_limited", False)
    assert (event.model, event.upstream_id is not None, event.output_tokens) == ("openai/response-fails", True, 0)
    assert meter.stats.lost == {} and meter.stats.open == 0


def test_without_following_fetches_the_tokens_are_lost(plain: OpenAI, meter: Meter, sink: Kept) -> None:
    """The control: a client whose ``get`` is the plain one."""
    client = metered(plain, meter)
    client.responses._get = plain.get
    identity = create(client)
    for _ in range(3):
        client.responses.retrieve(identity)
    assert sink.events == [] and meter.stats.open == 1
