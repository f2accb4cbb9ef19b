"""Events of older versions beside newer ones: each is walked as the newest version with its defaults.

A newer version that only adds fields at the end makes an older value a newer one by appending the encoded defaults, so
that an event sent in both is one event. Versions that differ otherwise are left to the record reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tokenmeter.audit.walk import walk
from tokenmeter.audit.walked import Walked
from tokenmeter.events import wire
from tokenmeter.events.contract import Schema, latest, versions

EVENT = "usage_event"
_REQUIRED = {"event_id": "", "occurred_at": 0, "customer_id": "", "model": "", "provider": ""}


def walk_newest(values: Sequence[bytes]) -> Walked:
    """Walk events of any version; whatever else ``values`` hold is not ok."""
    newest = latest(EVENT)
    prefix = wire.prefix(newest)
    heads = [value[: wire.PREFIX_BYTES] for value in values]
    if heads.count(prefix) == len(heads):
        return walk(newest, values)
    older = {wire.prefix(schema): schema for schema in versions(EVENT)[:-1] if _defaults(schema, newest) is not None}
    lifted = [
        prefix + value[wire.PREFIX_BYTES :] + (_defaults(older[head], newest) or b"") if head in older else value
        for value, head in zip(values, heads, strict=True)
    ]
    walked = walk(newest, lifted)
    for row, head in enumerate(heads):
        if head in older:  # the value itself must end where the defaults begin
            schema = older[head]
            added = newest.field_names[len(schema.field_names)]
            walked.ok[row] &= walked.begins[added][row] == walked.ends[row] - len(_defaults(schema, newest) or b"")
    return walked


@cache
def _defaults(older: Schema, newest: Schema) -> bytes | None:
    """What a value of ``older`` lacks at its end to be one of ``newest``, or None if that is not all."""
    shared: list[Any] = newest.document["fields"][: len(older.field_names)]
    if [(f["name"], f["type"]) for f in shared] != [(f["name"], f["type"]) for f in older.document["fields"]]:
        return None
    less, more = wire.encode_as(older, _REQUIRED), wire.encode_as(newest, _REQUIRED)
    return more[len(less) :]
