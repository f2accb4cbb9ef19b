"""Every recorded answer in ``corpus/`` comes to the classes that its file names, and to nothing else."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from support.usage_corpus import CORPUS, disagreements, read, recorded
from tokenmeter.events.errors import Poison

FIELDS = {"family", "kind", "source", "payload", "expected", "at_least", "ignore", "refused", "says"}
CASES = [pytest.param(family, case, id=name) for name, family, case in recorded()]


@pytest.mark.parametrize(("family", "case"), CASES)
def test_a_recorded_answer_is_read_as_it_was_billed(family: str, case: dict[str, Any]) -> None:
    assert set(case) <= FIELDS and case["source"]
    if "refused" in case:
        with pytest.raises(Poison, match=case.get("says", "next: ")) as caught:
            read(family, case)
        assert caught.value.reason == case["refused"]
    else:
        assert disagreements(read(family, case), case) == {}


def as_object(value: Any) -> Any:
    """What a client makes of JSON: attributes for fields."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(inner) for name, inner in value.items()})
    return [as_object(inner) for inner in value] if isinstance(value, list) else value


def test_a_client_object_says_the_same() -> None:
    for name, family, case in recorded():
        if family == "otel" or "refused" in case:
            continue  # attributes of a span are a mapping everywhere
        stream = case["kind"] == "stream"
        objects = [as_object(chunk) for chunk in case["payload"]] if stream else as_object(case["payload"])
        assert read(family, {**case, "payload": objects}) == read(family, case), name


@pytest.mark.parametrize(
    "wrong", [{"input_tokens": 16}, {"cached_input_tokens": 1}, {"model": "m-2"}, {"notes": ["x"]}]
)
def test_the_corpus_sees_a_figure_that_is_off_by_one(wrong: dict[str, Any]) -> None:
    """The control: a table that says otherwise must disagree."""
    case = json.loads((CORPUS / "chat-at-anthropics-openai-endpoint.json").read_text("utf-8"))
    case["expected"] = {**case["expected"], **wrong}
    assert set(disagreements(read("anthropic", case), case)) == set(wrong)


def is_right(family: str, case: dict[str, Any]) -> bool:
    try:
        return disagreements(read(family, case), case) == {} and "refused" not in case
    except Poison as error:
        return case.get("refused") == error.reason


def last_wins(before: Any, after: Any) -> Any:
    return after


@pytest.mark.parametrize(
    ("place", "mutant", "file", "family"),
    [
        ("registry.shape_of", lambda body: None, "chat-at-anthropics-openai-endpoint", "anthropic"),
        ("registry.shape_of", lambda body: None, "gemini-body-through-a-gateway", "compatible"),
        ("model.clamped", lambda usage: usage, "details-beyond-their-totals", "openai"),
        ("anthropic.merged", last_wins, "messages-stream-input-repeated-as-zero", "anthropic"),
        ("gemini.merged", last_wins, "gemini-stream-traffic-type-last", "gemini"),
        ("registry._PROMPTED", frozenset(), "dashscope-stream-of-placeholder-zeros-cut", "dashscope"),
        ("openai_chat.merged", last_wins, "stream-with-details-in-the-first-usage-alone", "vllm"),
        ("shapes.is_live", lambda message: False, "gemini-live-session", "gemini"),
    ],
)
def test_the_corpus_sees_a_reader_without_one_of_its_rules(
    monkeypatch: pytest.MonkeyPatch, place: str, mutant: Any, file: str, family: str
) -> None:
    """The control: each rule taken away makes a recorded answer come out wrong."""
    case = json.loads((CORPUS / f"{file}.json").read_text("utf-8"))
    assert is_right(family, case)
    module, _, name = place.partition(".")
    monkeypatch.setattr(f"tokenmeter.emit.usage.{module}.{name}", mutant)
    assert not is_right(family, case)
