"""LiteLLM's real package against a local server, and its mock responses: every call metered once, none estimated."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.local_time import NEW_YORK, NIGHTS, zone
from support.plain_litellm import UserAPIKeyAuth, called_back, litellm
from support.provider_answers import CHAT_TOKENS, MESSAGE_TOKENS, PIECES, RESPONSES_TOKENS
from support.provider_server import ProviderServer
from support.sinks import Failing, Kept
from tokenmeter.emit.credit.answer import OK, Answer
from tokenmeter.emit.integrations import Meter
from tokenmeter.emit.integrations.litellm import from_virtual_key, logger
from tokenmeter.emit.integrations.litellm_credit import CreditRefused
from tokenmeter.events.errors import Misconfigured

# LiteLLM's own warnings are its own.
pytestmark = pytest.mark.filterwarnings("ignore")
ASKED = {"include_usage": True}


@pytest.fixture
def meter(sink: Kept) -> Iterator[Meter]:
    meter = Meter(sink, background=False, customer_id="acme")
    with called_back(logger(meter, asked_hosts=["127.0.0.1"])):
        yield meter


@pytest.fixture
def call(server: ProviderServer) -> dict[str, Any]:
    messages = [{"role": "user", "content": "SECRET question"}]
    return {"api_key": "sk-SECRET", "api_base": f"{server.url}/v1", "messages": messages, "max_retries": 0}


def tokens(event: Any) -> dict[str, int]:
    return {n: v for n, v in event.model_dump().items() if n.endswith("_tokens") and v}


def test_a_call_of_the_library(call: dict[str, Any], sink: Kept, meter: Meter) -> None:
    metadata = {"tokenmeter": {"customer_id": "umbrella", "project_id": "p1"}}
    assert litellm.completion(model="openai/gpt-4o", metadata=metadata, **call).usage.prompt_tokens == 2006
    event = sink.only()
    assert tokens(event) == CHAT_TOKENS
    assert (event.customer_id, event.project_id, event.provider) == ("umbrella", "p1", "openai")
    assert (event.model, event.operation, event.status) == ("openai/gpt-4o", "CHAT", 200)
    assert event.request_id and event.event_id != event.request_id
    assert event.started_at is not None and event.started_at < event.occurred_at


def test_a_mock_response(sink: Kept, meter: Meter) -> None:
    litellm.completion(model="openai/gpt-4o", messages=[{"role": "user", "content": "x"}], mock_response="hi")
    assert (sink.only().input_tokens, sink.only().output_tokens) == (10, 20)


def test_a_stream_that_asked(call: dict[str, Any], sink: Kept, meter: Meter) -> None:
    list(litellm.completion(model="openai/gpt-4o", stream=True, stream_options=ASKED, **call))
    event = sink.only()
    assert tokens(event) == CHAT_TOKENS and event.streamed and event.latency_ms is not None


def test_what_litellm_only_estimates_is_never_metered(call: dict[str, Any], sink: Kept, meter: Meter) -> None:
    list(litellm.completion(model="openai/gpt-4o", stream=True, **call))
    sink.wait_for(1, within_s=1)
    assert sink.events == [] and meter.stats.lost == {"usage_estimated": 1}


def test_failures_and_each_attempt(call: dict[str, Any], sink: Kept, meter: Meter) -> None:
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(model="openai/fails-429", **call)
    sink.wait_for(1)
    event = sink.events[0]
    assert (event.status, event.error_class, event.model) == (429, "rate_limited", "openai/fails-429")

    async def retried() -> None:
        models = [
            {"model_name": "m", "litellm_params": {"model": f"openai/fails-{status}", **call}} for status in (500, 503)
        ]
        router = litellm.Router(model_list=models, num_retries=1, retry_after=0)
        with pytest.raises((litellm.InternalServerError, litellm.ServiceUnavailableError)):
            await router.acompletion(model="m", messages=call["messages"])
        await asyncio.sleep(0.5)

    asyncio.run(retried())
    attempts = sink.events[1:]
    assert len(attempts) >= 2 and {event.error_class for event in attempts} == {"upstream"}
    assert len({event.event_id for event in sink.events}) == len(sink.events)


def test_asynchronous_calls_are_asked_for_usage_that_their_callers_do_not_see(
    call: dict[str, Any], server: ProviderServer, sink: Kept, meter: Meter
) -> None:
    async def run() -> None:
        with meter.attributed(end_user_id="u1"):
            await litellm.acompletion(model="openai/gpt-4o", **call)
            for model in ("openai/gpt-4o", "hosted_vllm/llama", "deepseek/deepseek-chat", "moonshot/kimi"):
                stream = await litellm.acompletion(model=model, stream=True, **call)
                chunks = [chunk async for chunk in stream]
                assert len(chunks) == PIECES + 1 and all(chunk.choices for chunk in chunks)
                assert server.requests[-1][1]["stream_options"] == ASKED
                await asyncio.sleep(0.3)

    asyncio.run(run())
    sink.wait_for(5)
    assert [tokens(event) for event in sink.events] == [CHAT_TOKENS] * 5
    assert {event.end_user_id for event in sink.events} == {"u1"}
    assert [event.provider for event in sink.events] == ["openai", "openai", "hosted_vllm", "deepseek", "moonshot"]
    assert meter.stats.lost == {}


def test_anthropic_responses_and_embeddings(
    call: dict[str, Any], server: ProviderServer, sink: Kept, meter: Meter
) -> None:
    async def run() -> None:
        claude = {**call, "api_base": server.url}
        await litellm.acompletion(model="anthropic/claude-sonnet-5", **claude)
        async for _ in await litellm.acompletion(model="anthropic/claude-sonnet-5", stream=True, **claude):
            pass
        assert "extra_body" not in server.requests[-1][1]
        common = {"api_key": "k", "api_base": f"{server.url}/v1"}
        await litellm.aresponses(model="openai/gpt-5", input="x", **common)
        await litellm.aembedding(model="openai/text-embedding-3-small", input=["x"], **common)
        await asyncio.sleep(0.5)

    asyncio.run(run())
    sink.wait_for(4)
    by_operation = {event.operation: event for event in sink.events}
    assert [tokens(event) for event in sink.events if event.operation == "CHAT"] == [MESSAGE_TOKENS] * 2
    assert tokens(by_operation["RESPONSE"]) == RESPONSES_TOKENS
    assert tokens(by_operation["EMBEDDING"]) == {"input_tokens": 8}
    assert meter.stats.lost == {}


def test_a_stream_that_is_cut(call: dict[str, Any], sink: Kept, meter: Meter) -> None:
    async def run() -> None:
        stream = await litellm.acompletion(model="openai/endless", stream=True, **call)
        async for _ in stream:
            break
        await stream.aclose()
        del stream
        for _ in range(50):
            gc.collect()
            await asyncio.sleep(0.02)
            if sink.events:
                break

    asyncio.run(run())
    event = sink.only()
    assert (event.cancelled, event.streamed, event.error_class) == (True, True, "usage_unseen")
    assert event.customer_id == "acme"


def test_an_answer_from_litellms_cache_is_no_call(sink: Kept, meter: Meter) -> None:
    now = datetime.now()
    told = {"call_type": "completion", "litellm_call_id": "1", "cache_hit": True, "custom_llm_provider": "openai"}
    litellm.callbacks[0].log_success_event(told, {"usage": {}}, now, now)
    assert sink.events == [] and meter.stats.lost == {}


def test_a_failure_to_meter_never_breaks_the_call(call: dict[str, Any], meter: Meter) -> None:
    failing = Meter(Failing(RuntimeError("no")), background=False, customer_id="acme")
    litellm.callbacks = [logger(failing, lambda metadata: {}["SECRET"])]
    assert litellm.completion(model="openai/gpt-4o", **call).usage
    for _ in range(100):
        if failing.stats.lost:
            break
        Kept().wait_for(1, within_s=0.02)
    assert failing.stats.lost == {"KeyError": 1}


def test_in_the_proxy_the_key_says_whose_call_it_is() -> None:
    metadata = {
        "user_api_key_hash": "hash",
        "user_api_key_team_id": "team",
        "user_api_key_user_id": "user",
        "user_api_key_end_user_id": "end",
        "tokenmeter": {"customer_id": "somebody-else"},
    }
    found = from_virtual_key(metadata)
    assert found == {"customer_id": "team", "project_id": "team", "api_key_id": "hash", "end_user_id": "end"}
    assert from_virtual_key({**metadata, "user_api_key_org_id": "org"})["customer_id"] == "org"


def told(**metadata: Any) -> dict[str, Any]:
    """What LiteLLM says of a streamed call that has ended."""
    return {
        "call_type": "acompletion",
        "litellm_call_id": f"call-{len(metadata)}",
        "custom_llm_provider": "anthropic",
        "model": "claude-sonnet-5",
        "stream": True,
        "litellm_params": {"metadata": metadata},
    }


def test_a_caller_of_the_proxy_who_hangs_up_is_not_billed_a_guess(sink: Kept, meter: Meter) -> None:
    """The proxy then hands out an answer whose tokens it counted itself."""
    now = datetime.now()
    partial = litellm.ModelResponse(model="claude", usage={"prompt_tokens": 8, "completion_tokens": 4362})
    kwargs = told(client_disconnected=True, model_group="claude")
    asyncio.run(litellm.callbacks[0].async_log_success_event(kwargs, partial, now, now))
    event = sink.only()
    assert (event.cancelled, event.error_class, event.input_tokens, event.output_tokens) == (True, "usage_unseen", 0, 0)
    assert event.requested_model == "claude"


def test_a_caller_of_the_proxy_cannot_say_of_himself_that_he_hung_up(sink: Kept, meter: Meter) -> None:
    now = datetime.now()
    usage = {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17}
    answer = litellm.ModelResponse(model="claude", usage=usage)
    forged = {"client_disconnected": True, "tokenmeter": {}}
    kwargs = told(**forged, requester_metadata=forged, model_group="claude")
    litellm.callbacks[0].log_success_event(kwargs, answer, now, now)
    event = sink.only()
    assert (event.cancelled, event.input_tokens, event.output_tokens) == (False, 8, 9)
    assert (event.model, event.requested_model) == ("anthropic/claude-sonnet-5", "claude"), (
        "who served, not who was asked"
    )


@pytest.mark.parametrize(("began", "ended"), NIGHTS)
def test_a_call_in_a_night_when_clocks_change(sink: Kept, meter: Meter, began: datetime, ended: datetime) -> None:
    usage = {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17}
    kwargs = {**told(), "completion_start_time": ended}
    with zone(NEW_YORK):
        litellm.callbacks[0].log_success_event(kwargs, litellm.ModelResponse(model="c", usage=usage), began, ended)
    event = sink.only()
    assert (event.duration_ms, event.latency_ms) == (15_000, 15_000)
    assert event.started_at is not None and event.occurred_at - event.started_at == timedelta(seconds=15)


class Broke:
    """A CreditCache of customers without credit."""

    def allowed(self, customer: str, *named: Any, free: bool) -> Answer:
        assert customer == "team"
        return OK if free else Answer(False, "exhausted", "team")


def test_the_proxy_refuses_a_call_without_credit_before_it_makes_it(sink: Kept, meter: Meter) -> None:
    credit: Any = Broke()
    key = UserAPIKeyAuth(api_key="hash", team_id="team")

    def ask(model: str, **settings: Any) -> Any:
        """As the proxy does, which looks for the hook in the class itself."""
        litellm.callbacks = [logger(meter, from_virtual_key, **settings)]
        assert "async_pre_call_hook" in vars(type(litellm.callbacks[0]))
        data = {"metadata": {"user_api_key_team_id": "somebody-else"}, "model": model, "messages": []}
        hook = litellm.callbacks[0].async_pre_call_hook
        return asyncio.run(hook(user_api_key_dict=key, cache=None, data=data, call_type="acompletion"))

    with pytest.raises(CreditRefused, match="exhausted"):
        ask("gpt-4o", credit=credit)
    assert ask("deepseek/deepseek-r1:free", credit=credit) is None
    assert ask("gpt-4o") is None, "without a cache nobody is asked"
    now = datetime.now()
    kwargs = {**told(), "exception": CreditRefused("exhausted", "team")}
    litellm.callbacks[0].log_failure_event(kwargs, None, now, now)
    assert sink.events == [], "a call that was not made is none"


def test_the_proxys_logger_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    import tokenmeter.emit.integrations.litellm as host

    monkeypatch.delenv(host.BOOTSTRAP, raising=False)
    with pytest.raises(Misconfigured, match=host.BOOTSTRAP):
        _ = host.proxy_logger


def test_no_event_holds_a_question_an_answer_or_a_key(call: dict[str, Any], sink: Kept, meter: Meter) -> None:
    litellm.completion(model="openai/gpt-4o", **call)
    assert "SECRET" not in sink.only().model_dump_json()
