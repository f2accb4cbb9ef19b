"""Annotation layers in Superset: events that charts draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenmeter.boards.board import Annotation, Layer
from tokenmeter.boards.rest import Rest


def put_layers(rest: Rest, layers: Iterable[Layer]) -> dict[str, int]:
    """Each layer once, with exactly its annotations; ids by name."""
    known = {one["name"]: int(one["id"]) for one in rest.all("annotation_layer")}
    return {layer.name: _put(rest, layer, known.get(layer.name)) for layer in layers}


def _put(rest: Rest, layer: Layer, found: int | None) -> int:
    if found is None:
        body = {"name": layer.name, "descr": "Published by tokenmeter."}
        found = int(rest.post("annotation_layer/", body)["id"])
    path = f"annotation_layer/{found}/annotation"
    there = {one["short_descr"]: one for one in rest.all(path)}
    wanted = {one.title: one for one in layer.annotations}
    for title, one in there.items():
        if title not in wanted:
            rest.delete(f"{path}/{one['id']}")
    for title, annotation in wanted.items():
        if title not in there:
            rest.post(f"{path}/", _body(annotation))
        elif there[title]["long_descr"] != annotation.detail or not _same_days(there[title], annotation):
            rest.put(f"{path}/{there[title]['id']}", _body(annotation))
    return found


def _body(one: Annotation) -> dict[str, Any]:
    return {
        "short_descr": one.title,
        "long_descr": one.detail,
        "start_dttm": f"{one.start}T00:00:00",
        "end_dttm": f"{one.end}T23:59:59",
    }


def _same_days(there: dict[str, Any], one: Annotation) -> bool:
    return str(there["start_dttm"])[:10] == one.start and str(there["end_dttm"])[:10] == one.end
