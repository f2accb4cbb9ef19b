"""The recorded answers of tests/unit/emit/usage/corpus, and how what is read is held against their tables."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tokenmeter.emit.usage import Usage, gather, normalise
from tokenmeter.events.contract import QUANTITY_FIELDS

CORPUS = Path(__file__).parents[1] / "unit" / "emit" / "usage" / "corpus"


def recorded() -> list[tuple[str, str, dict[str, Any]]]:
    """(id, family, case) of every file, once for each family that it is read under."""
    found = []
    for path in sorted(CORPUS.glob("*.json")):
        case = json.loads(path.read_text("utf-8"))
        families = case["family"] if isinstance(case["family"], list) else [case["family"]]
        found += [(f"{path.stem}-{family}", family, case) for family in families]
    return found


def read(family: str, case: dict[str, Any]) -> Usage:
    """What the readers make of it; raises Poison."""
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
