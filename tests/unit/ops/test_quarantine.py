"""What a person is shown of a damaged event, and what is decided about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from support.events import NOW, NOW_MS, event, value
from tokenmeter.cli.quarantine import position_of
from tokenmeter.events import encode, wire
from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.quarantine.partial import read_partially
from tokenmeter.ops.quarantine.plan import advice, verdicts
from tokenmeter.ops.rebuild import LOADED
from tokenmeter.store.derived import created, tables


def test_a_whole_value_is_read_whole() -> None:
    partial = read_partially(value(1))
    assert {field.name: field.value for field in partial.fields} == wire.decode(value(1)).record
    assert (partial.damage, partial.guessed) == (None, False)


def test_every_cut_shows_the_fields_before_it_and_names_the_one_it_is_in() -> None:
    whole = read_partially(value(1))
    for cut in range(len(value(1))):
        partial = read_partially(value(1)[:cut])
        assert partial.fields == tuple(field for field in whole.fields if field.end <= cut)
        assert partial.damage is not None


def test_text_that_is_no_utf8_and_an_unknown_schema_are_told() -> None:
    spoilt = value(1).replace(b"cus_", b"cu\xff_", 1)
    assert "customer_id" in (read_partially(spoilt).damage or "")
    foreign = read_partially(b"\x00\x00\x00\x00\x63" + value(1)[5:])
    assert foreign.guessed
    assert foreign.damage == "schema id 99 is not known"
    assert foreign.fields == read_partially(value(1)).fields


def rows(*values: tuple[bytes, str]) -> pl.DataFrame:
    made = [{"partition": 0, "offset": n, "reason": reason, "value": data} for n, (data, reason) in enumerate(values)]
    return pl.DataFrame(made)


def judged(*values: tuple[bytes, str], counted: dict[Any, str] | None = None) -> list[str]:
    return [one.verdict for one in verdicts(rows(*values), NOW_MS, lambda identities: counted or {}, set())]


def test_only_what_is_accepted_now_and_not_counted_yet_is_sent() -> None:
    late = encode("usage_event", event(2, occurred_at=NOW - timedelta(days=36)).to_record())
    early = encode("usage_event", event(3, occurred_at=NOW + timedelta(minutes=6)).to_record())
    counted = {(event(5).customer_id, "event-00000005"): (0, 7)}
    assert judged(
        (value(1), "schema"),
        (late, "late"),
        (early, "early"),
        (value(4)[:50], "truncated"),
        (value(5), "schema"),
        (value(6), "conflict"),
        (value(1), "schema"),
        counted=counted,
    ) == ["send", "late", "early", "truncated", "counted", "conflict", "repeat"]


def test_every_verdict_has_advice() -> None:
    for verdict in ("send", "late", "conflict", "counted", "repeat", "truncated", "avro", "magic"):
        assert advice(verdict)


def test_a_position_that_is_none_is_told() -> None:
    assert position_of("3:1042") == (3, 1042)
    for text in ("3", "3:", ":1", "a:b", "-1:2"):
        with pytest.raises(Misconfigured, match="PARTITION:OFFSET"):
            position_of(text)


def test_a_rebuild_knows_every_table_and_view_that_the_migrations_make() -> None:
    names = {name for (_, name), _ in created()}
    assert {"usage_events", "usage_billing", "usage_market", "usage_pages", "quarantine", "rankings"} <= names
    assert "leaderboard" not in names, "a later migration drops it"
    assert {name for _, name in tables(LOADED)} == LOADED, "reconcile's own history is not derived"
