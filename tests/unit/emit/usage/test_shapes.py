"""Every provider's reference shape comes to the right token classes, as JSON, as a client's object and as a stream."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from support.provider_payloads import PAYLOADS, STREAMS, Payload, Stream
from support.usage_corpus import recorded
from tokenmeter.emit.usage import FAMILIES, Usage, family, fold, gather, normalise
from tokenmeter.events.errors import Poison

DICTS = re.compile("bedrock|opentelemetry")
named = {"ids": lambda case: case.name}


def expected(fields: dict[str, Any]) -> Usage:
    inner = tuple(expected(usage) for usage in fields.get("also", ()))
    return Usage(**{**fields, "also": inner})


def as_object(value: Any, snake: bool) -> Any:
    """What a client makes of JSON: attributes for fields, in Google's case spelled with underscores."""
    if isinstance(value, dict):
        spelled = {
            re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower() if snake else name: v for name, v in value.items()
        }
        return SimpleNamespace(**{name: as_object(inner, snake) for name, inner in spelled.items()})
    return [as_object(inner, snake) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", PAYLOADS, **named)
def test_the_reference_shape_is_read(case: Payload) -> None:
    assert normalise(case.provider, case.response) == expected(case.expected)


@pytest.mark.parametrize("case", [case for case in PAYLOADS if not DICTS.search(case.provider)], **named)
def test_a_client_object_says_the_same_as_the_json(case: Payload) -> None:
    """Bedrock's client answers with dicts, and a span's attributes are one."""
    found = normalise(case.provider, as_object(case.response, snake=case.provider in ("gemini", "vertex_ai")))
    # Mistral's connectors are a dict in its client too.
    ignored = {"tool_calls", "web_searches"} if "connector" in case.name else set()
    whole = expected(case.expected)
    assert {n for n in Usage.__slots__ if getattr(found, n) != getattr(whole, n)} <= ignored


@pytest.mark.parametrize("case", STREAMS, **named)
def test_a_stream_comes_to_what_it_used(case: Stream) -> None:
    assert gather(case.provider, case.chunks) == expected(case.expected)
    snake = case.provider == "gemini"
    assert gather(case.provider, [as_object(chunk, snake) for chunk in case.chunks]) == expected(case.expected)


@pytest.mark.parametrize("case", STREAMS, **named)
def test_a_stream_that_was_cut_has_the_usage_so_far_or_says_what_is_missing(case: Stream) -> None:
    if case.so_far is not None:
        assert gather(case.provider, case.chunks[: case.cut]) == expected(case.so_far)
    else:
        with pytest.raises(Poison, match=r"usage_missing|usage_shape"):
            gather(case.provider, case.chunks[: case.cut])


TEXTS = "text content arguments input delta b64_json markdown outputText generation bytesBase64Encoded stringValue url"


def with_canary(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "CANARY" if k in TEXTS.split() and isinstance(v, str) else with_canary(v) for k, v in value.items()}
    return [with_canary(item) for item in value] if isinstance(value, list) else value


STREAMED = [(case.provider, case.chunks) for case in STREAMS]
WHOLE = [(name, case["payload"]) for _, name, case in recorded() if case["kind"] == "response"]


def test_what_is_kept_of_a_stream_has_no_text() -> None:
    recordings = [(name, case["payload"]) for _, name, case in recorded() if case["kind"] == "stream"]
    for provider, chunks in (*STREAMED, *recordings, *((name, [body]) for name, body in WHOLE)):
        seen: dict[str, Any] = {}
        for chunk in with_canary([*chunks, {"gen_ai.prompt.0.content": "x"}] if provider == "otel" else chunks):
            with contextlib.suppress(Poison):
                fold(provider, seen, chunk)
        assert "CANARY" not in str(seen), (provider, seen)


def test_every_family_is_in_the_tables_and_every_case_names_its_source() -> None:
    names = {*(case.provider for case in PAYLOADS), *(name for _, name, _ in recorded())}
    tabled = {family(name).name for name in names}
    assert tabled == {known.name for known in FAMILIES}
    assert all(case.source.startswith("https://") for case in (*PAYLOADS, *STREAMS))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from leaves(inner, (*path, name))


def without(value: Any, path: tuple[Any, ...]) -> Any:
    found = copy.deepcopy(value)
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return found


@pytest.mark.parametrize("case", PAYLOADS, **named)
def test_taking_a_field_away_never_makes_a_total_of_zero(case: Payload) -> None:
    """Whatever one field is missing: an error, or totals that some field still proves."""
    whole = expected(case.expected)
    for path in leaves(case.response):
        try:
            found = normalise(case.provider, without(case.response, path))
        except Poison as error:
            assert error.reason.startswith("usage_") or error.reason == "breakdown"
            continue
        zeroed = {
            name for name in ("input_tokens", "output_tokens") if getattr(whole, name) > 0 and getattr(found, name) == 0
        }
        zeroed -= set(found.notes)  # said to be unknown
        assert not zeroed, (path, zeroed)


@pytest.mark.parametrize(
    ("provider", "response", "reason", "says"),
    [
        ("openai", {}, "usage_missing", "usage"),
        ("openai", None, "usage_missing", "usage"),
        ("openai", "an error page", "usage_missing", "usage"),
        ("openai", {"usage": {}}, "usage_missing", "usage.prompt_tokens"),
        ("openai", {"usage": {"prompt_tokens": 3}}, "usage_missing", "usage.completion_tokens"),
        ("openai", {"usage": {"prompt_tokens": 3, "total_tokens": 5}}, "usage_missing", "usage.completion_tokens"),
        ("openai", {"usage": {"prompt_tokens": "3", "completion_tokens": 1}}, "usage_shape", "usage.prompt_tokens"),
        ("openai", {"usage": {"prompt_tokens": True, "completion_tokens": 1}}, "usage_shape", "usage.prompt_tokens"),
        ("openai", {"usage": {"prompt_tokens": 1.5, "completion_tokens": 1}}, "usage_shape", "usage.prompt_tokens"),
        ("openai", {"usage": {"prompt_tokens": -3, "completion_tokens": 1}}, "negative", "usage.prompt_tokens"),
        (
            "openai",
            {"usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 9}},
            "usage_conflict",
            "usage.total_tokens is 9",
        ),
        ("openai", {"usage": {"prompt_tokens": 10**13, "completion_tokens": 1}}, "too_large", "input_tokens="),
        ("openai", {"text": "hi", "usage": {"type": "duration", "seconds": "long"}}, "usage_shape", "seconds"),
        ("anthropic", {"usage": {"output_tokens": 1}}, "usage_missing", "usage.input_tokens"),
        ("gemini", {"usageMetadata": {"promptTokenCount": 3}}, "usage_missing", "usageMetadata.candidatesTokenCount"),
        ("minimax", {"base_resp": {"status_code": 1004}}, "usage_shape", "1004"),
        ("ollama", {"done": False, "message": {}}, "usage_shape", "final chunk"),
        ("ollama", {"done": True, "eval_count": 3}, "usage_missing", "prompt_eval_count"),
        ("cohere", {"meta": {"billed_units": {}}}, "usage_missing", "meta.billed_units.input_tokens"),
        ("nobody", {}, "usage_provider", "nobody"),
    ],
)
def test_an_unknown_shape_says_what_is_wrong(provider: str, response: Any, reason: str, says: str) -> None:
    with pytest.raises(Poison, match=re.escape(says)) as caught:
        normalise(provider, response)
    assert caught.value.reason == reason
    assert caught.value.hint


def test_an_error_never_repeats_what_a_response_holds() -> None:
    with pytest.raises(Poison) as caught:
        normalise("openai", {"usage": {"prompt_tokens": "CANARY", "completion_tokens": ["CANARY"]}})
    assert "CANARY" not in str(caught.value)


def test_the_fee_alone_does_not_pass_for_the_cost_of_a_call_on_the_callers_key() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.05, "is_byok": True}
    assert normalise("openrouter", {"usage": usage}).reported_cost is None


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), "much", [], 1e30])
def test_a_cost_that_is_no_amount_is_an_error(cost: Any) -> None:
    with pytest.raises(Poison, match=r"usage_shape|range"):
        normalise("openrouter", {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": cost}})
