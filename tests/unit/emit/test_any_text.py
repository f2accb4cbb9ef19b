"""Any text through every entrance: kept byte for byte or refused by the field's name, and its neighbours are whole.

The shared case I01, as far as producers reach: the SDK, a gateway's intake, a replayed file and the spool.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from support.texts import ODD_TEXTS, UNWRITABLE
from tokenmeter.emit import Emitter
from tokenmeter.emit.gateway.intake import take
from tokenmeter.emit.replay.traces import read
from tokenmeter.emit.spool import Spool
from tokenmeter.emit.stamp import Stamper
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.errors import Misconfigured

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
AT_US = int(AT.timestamp() * 1_000_000)
NOBODY = "127.0.0.1:9"
IDS = ("project_id", "api_key_id", "end_user_id", "app_id", "session_id", "request_id", "upstream_id", "source")


def fields(number: int, text: str) -> dict[str, Any]:
    """An event with ``text`` wherever an id or a name stands."""
    named = {"customer_id": text, "model": text, "provider": text, **dict.fromkeys(IDS, text)}
    return {"event_id": f"e-{number}", "occurred_at": AT, "tags": (text, "plain"), **named}


EVENTS = [UsageEvent(**fields(number, text)) for number, text in enumerate(ODD_TEXTS)]


def written(event: UsageEvent) -> dict[str, Any]:
    return json.loads(event.model_dump_json())  # type: ignore[no-any-return]


def holds(record: dict[str, Any], text: str) -> bool:
    told = [record[name] for name in ("customer_id", "model", "provider", *IDS)] + record["tags"][:1]
    return {one.encode() for one in told} == {text.encode()}


def test_the_texts_are_all_distinct_and_short_enough() -> None:
    assert len({text.encode() for text in ODD_TEXTS}) == len(ODD_TEXTS)
    assert max(len(text.encode()) for text in ODD_TEXTS) == 256


@pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))
def test_the_sdk_encodes_what_it_is_given(event: UsageEvent) -> None:
    row = Stamper("me", "usage.events").row(event)
    assert holds(decode(row.value).record, event.customer_id)
    assert row.key == event.customer_id.encode() and row.source == event.customer_id


@pytest.mark.parametrize("text", UNWRITABLE)
@pytest.mark.parametrize("name", ["customer_id", "event_id", "model", "variant", "tags", *IDS])
def test_the_sdk_refuses_by_name_what_cannot_be_written(name: str, text: str) -> None:
    value = (text,) if name == "tags" else text
    with pytest.raises(ValidationError) as caught:
        UsageEvent(**{**fields(0, "plain"), name: value})
    assert [error["loc"][0] for error in caught.value.errors()] == [name]


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("escaped", [False, True])
def test_the_gateway_takes_what_it_is_sent(lines: bool, escaped: bool) -> None:
    rows = [json.dumps(written(event), ensure_ascii=escaped) for event in EVENTS]
    body = "\r\n".join(rows) if lines else f"[{','.join(rows)}]"
    taken = take(body.encode(), lines, AT_US)
    assert taken.faults == () and list(taken.events) == EVENTS


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("text", UNWRITABLE)
def test_the_gateway_names_the_event_and_the_field_of_half_a_character(text: str, lines: bool) -> None:
    rows = [written(event) for event in EVENTS[:3]]
    rows[1] |= {"end_user_id": text, "tags": ["plain", text]}
    body = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    faults = take(body.encode(), lines, AT_US).faults
    assert sorted((fault.index, fault.field) for fault in faults) == [(1, "end_user_id"), (1, "tags.1")]


def test_the_gateway_names_the_line_that_is_no_json_or_no_text() -> None:
    good = json.dumps(written(EVENTS[0])).encode()
    faults = take(b"\n".join([good, b"{", good, good.replace(b"e-0", b"\xff\xfe"), b""]), True, AT_US).faults
    assert [fault.index for fault in faults] == [1, 3]
    assert all(fault.reason.startswith("not JSON") for fault in faults)


def test_a_replayed_file_keeps_its_texts_and_its_neighbours(tmp_path: Path) -> None:
    trace, bad = tmp_path / "calls.jsonl", []
    lines = [event.model_dump_json().encode() for event in EVENTS]
    half = json.dumps({**written(EVENTS[0]), "project_id": UNWRITABLE[0]}).encode()
    trace.write_bytes(b"\n".join([*lines[:4], half, lines[0].replace(b"e-0", b"\xff\xfe"), *lines[4:]]))
    assert list(read(trace, AT, "jsonl", bad.append)) == EVENTS
    assert "line 5" in str(bad[0]) and "project_id" in str(bad[0]) and "line 6" in str(bad[1])
    trace.write_text(EVENTS[0].model_dump_json().replace('"status":200', '"status":"no"'))
    with pytest.raises(Misconfigured, match="status"):
        list(read(trace, AT, "jsonl"))


def test_the_spool_keeps_the_bytes_until_they_are_sent(tmp_path: Path) -> None:
    emitter = Emitter(NOBODY, spool=tmp_path, client_config={"log_level": 0})
    emitter.emit_many(EVENTS)
    emitter.close(0)
    spool = Spool(tmp_path)
    rows = [held.row for held in spool.read(0, 1_000, 1 << 30)]
    spool.close()
    stamper = Stamper("me", "usage.events")
    assert rows == [stamper.row(event) for event in EVENTS]
    assert all(holds(decode(row.value).record, event.customer_id) for row, event in zip(rows, EVENTS, strict=True))
