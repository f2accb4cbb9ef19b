"""A made-up next version of the usage event, for rehearsing an upgrade: fields added in the middle and at the end."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from support.events import event
from tokenmeter.events import contract
from tokenmeter.events.contract import Schema, by_id, schema_from, versions
from tokenmeter.events.wire import encode_as

OLD: Schema = versions("usage_event")[-1]
NEXT_ID = 100
ADDED: dict[str, Any] = {"batch_id": None, "retries": 7, "cluster": "none", "labels": []}
"""What an old event means in the new fields."""


def _document() -> dict[str, Any]:
    document = copy.deepcopy(OLD.document)
    kinds: dict[str, Any] = {
        "batch_id": ["null", "string"],
        "retries": "long",
        "cluster": "string",
        "labels": {"type": "array", "items": "string"},
    }
    added = [{"name": name, "type": kind, "default": ADDED[name]} for name, kind in kinds.items()]
    document["fields"] = [*document["fields"][:5], *added[:2], *document["fields"][5:], *added[2:]]
    return document


NEXT: Schema = schema_from(json.dumps(_document()), "usage_event", OLD.version + 1, NEXT_ID)


def _text(name: str, version: int, bundled: Any = contract._text) -> str:
    return json.dumps(NEXT.document) if (name, version) == (NEXT.name, NEXT.version) else str(bundled(name, version))


@contextmanager
def rehearse() -> Iterator[None]:
    """NEXT is a version like those that are bundled, within the block and in this process."""
    ids = mock.patch.dict(contract._IDS, {(NEXT.name, NEXT.version): NEXT.id})
    try:
        with ids, mock.patch.object(contract, "_text", _text):
            _forget()
            yield
    finally:
        _forget()


def _forget() -> None:
    versions.cache_clear()
    by_id.cache_clear()


def next_record(number: int, **fields: Any) -> dict[str, Any]:
    """Event ``number`` as the new version has it; ``fields`` may name old and new ones."""
    old = {name: value for name, value in fields.items() if name not in ADDED}
    new = {
        "batch_id": f"batch-{number}",
        "retries": number,
        "cluster": f"c{number % 3}",
        "labels": ["l"] * (number % 3),
    }
    return {**event(number, **old).to_record(), **new, **{n: v for n, v in fields.items() if n in ADDED}}


def next_value(number: int, **fields: Any) -> bytes:
    """Its wire value, as a new writer sends it."""
    return encode_as(NEXT, next_record(number, **fields))


def old_value(number: int, **fields: Any) -> bytes:
    """The wire value of ``support.events.event`` as an old writer sends it."""
    return encode_as(OLD, event(number, **fields).to_record())
