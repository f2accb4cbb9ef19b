"""Every recorded answer in ``corpus/`` comes to the classes that its file names, and to nothing else."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tokenmeter.emit.usage import Usage, gather, normalise
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Poison

CORPUS = Path(__file__).parent / "corpus"
FIELDS = {"family", "kind", "source", "payload", "expected", "at_least", "ignore", "refused", "says"}


def cases() -> list[Any]:
    found = []
    for path in sorted(CORPUS.glob("*.json")):
        case = json.loads(path.read_text("utf-8"))
        families = case["family"] if isinstance(case["family"], list) else [case["family"]]
        found += [pytest.param(family, case, id=f"{path.stem}-{family}") for family in families]
    return found


def read(family: str, case: dict[str, Any]) -> Usage:
    return (gather if case["kind"] == "stream" else normalise)(family, case["payload"])


def disagreements(found: Usage, case: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """(found, expected) of each field that is not as the file says."""
    expected: dict[str, Any] = {
        **dict.fromkeys(QUANTITY_FIELDS, 0),
        "notes": [],
        "also": [],
        **case.get("expected", {}),
    }
    for name in (*case.get("ignore", ()), *case.get("at_least", ())):
        expected.pop(name, None)
    inner = expected.pop("also", [])
    wrong: dict[str, tuple[Any, Any]] = {}
    for name, value in expected.items():
        told = getattr(found, name)
        same = (
            sorted(told) == sorted(value)
            if name == "notes"
            else told == (Decimal(value) if name == "reported_cost" else value)
        )
        if not same:
            wrong[name] = (told, value)
    for name, least in case.get("at_least", {}).items():
        if getattr(found, name) < least:
            wrong[name] = (getattr(found, name), f"at least {least}")
    if len(inner) != len(found.also):
        wrong["also"] = (found.also, inner)
    for usage, told in zip(found.also, inner, strict=False):
        wrong |= {f"also.{name}": pair for name, pair in disagreements(usage, {"expected": told}).items()}
    return wrong


@pytest.mark.parametrize(("family", "case"), cases())
def test_a_recorded_answer_is_read_as_it_was_billed(family: str, case: dict[str, Any]) -> None:
    assert set(case) <= FIELDS and case["source"]
    if "refused" in case:
        with pytest.raises(Poison, match=case.get("says", "next: ")) as caught:
            read(family, case)
        assert caught.value.reason == case["refused"]
    else:
        assert disagreements(read(family, case), case) == {}


@pytest.mark.parametrize(
    "wrong", [{"input_tokens": 16}, {"cached_input_tokens": 1}, {"model": "m-2"}, {"notes": ["x"]}]
)
def test_the_corpus_sees_a_figure_that_is_off_by_one(wrong: dict[str, Any]) -> None:
    """The control: a table that says otherwise must disagree."""
    case = json.loads((CORPUS / "chat-at-anthropics-openai-endpoint.json").read_text("utf-8"))
    case["expected"] = {**case["expected"], **wrong}
    assert set(disagreements(read("anthropic", case), case)) == set(wrong)
