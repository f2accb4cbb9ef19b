"""Whether two versions of an Avro record can read each other, by the rules of the Avro specification."""

from __future__ import annotations

from typing import Any

PROMOTIONS = {("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double")}


def cannot_read(reader: dict[str, Any], writer: dict[str, Any]) -> list[str]:
    """Why data of ``writer`` cannot be read as ``reader``; empty when it can."""
    written = {field["name"]: field["type"] for field in writer["fields"]}
    found = []
    for field in reader["fields"]:
        if field["name"] not in written:
            found += [] if "default" in field else [f"{field['name']}: new, and without a default"]
        elif not _readable(field["type"], written[field["name"]]):
            found.append(f"{field['name']}: {written[field['name']]} cannot be read as {field['type']}")
    return found


def incompatible(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Both ways: an old reader meets new data, and a new reader old data."""
    return cannot_read(one, other) + cannot_read(other, one)


def _readable(reader: Any, writer: Any) -> bool:
    if isinstance(writer, list):
        return all(_readable(reader, branch) for branch in writer)
    if isinstance(reader, list):
        return any(_readable(branch, writer) for branch in reader)
    mine, theirs = _base(reader), _base(writer)
    if mine == theirs == "enum":
        return "default" in reader or set(writer["symbols"]) <= set(reader["symbols"])
    if mine == theirs == "array":
        return _readable(reader["items"], writer["items"])
    same_meaning = _meaning(reader) == _meaning(writer)
    return same_meaning and (mine == theirs or (theirs, mine) in PROMOTIONS)


def _base(kind: Any) -> str:
    base: str = kind["type"] if isinstance(kind, dict) else kind
    return base


def _meaning(kind: Any) -> tuple[Any, ...]:
    names = ("logicalType", "precision", "scale")
    return tuple(kind.get(name) for name in names) if isinstance(kind, dict) else (None,) * len(names)
