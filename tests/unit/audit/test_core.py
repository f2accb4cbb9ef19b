"""The pure parts of the audit: repeats, blocks, the chain of pages, raw rows and sequence gaps."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.events import NOW_MS, event
from tokenmeter.audit import chain, raw, sequences
from tokenmeter.audit.blocks import Block, cut
from tokenmeter.audit.columnar import Arrived
from tokenmeter.audit.repeats import CONFLICT, DUPLICATE, FRESH, Repeats, Seen
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import FIRST_DIGEST

HORIZON_MS = 1_000


def seen(rows: list[tuple[int, int, int]]) -> Seen:
    identity, payload, at = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return Seen(identity.astype(np.uint64), identity.astype(np.uint64), payload.astype(np.uint64), at)


def slowly(rows: list[tuple[int, int, int]]) -> list[int]:
    """Repeats as one would explain them: the most recent event of an identity, if it is within the horizon."""
    newest: dict[int, tuple[int, int]] = {}
    answers = []
    for identity, payload, at in rows:
        before = newest.get(identity)
        if before is None or at - before[1] > HORIZON_MS:
            answers.append(FRESH)
        else:
            answers.append(DUPLICATE if before[0] == payload else CONFLICT)
        newest[identity] = (payload, at)
    return answers


@pytest.mark.parametrize("seed", range(20))
def test_repeats_are_exact_however_the_log_is_cut_and_whatever_the_clock_does(seed: int) -> None:
    chance = random.Random(seed)
    at, rows = 0, []
    for _ in range(2_000):
        at += chance.choice([0, 1, 3, 4, -2])
        rows.append((chance.randrange(400), chance.randrange(2), at))
    wanted = slowly(rows)
    assert len(set(wanted)) == 3
    repeats, begin, found = Repeats(HORIZON_MS), 0, []
    while begin < len(rows):
        end = begin + chance.randrange(1, 200)
        found += repeats.mark(seen(rows[begin:end])).tolist()
        begin = end
    assert found == wanted


def test_two_identities_with_one_hash_end_the_audit() -> None:
    repeats = Repeats(HORIZON_MS)
    repeats.mark(seen([(7, 1, 0)]))
    other = seen([(7, 1, 1)])
    with pytest.raises(Fatal, match="same hash"):
        repeats.mark(Seen(other.identity, other.check + np.uint64(1), other.payload, other.appended_at_ms))


@pytest.mark.parametrize("seed", range(20))
def test_every_record_lies_in_one_block_and_every_page_closes_once_with_its_last(seed: int) -> None:
    chance = random.Random(seed)
    offsets = np.cumsum([chance.choice([1, 1, 3]) for _ in range(500)])
    at_ms = np.zeros(500, np.int64)
    whole = Block([b"x"] * 500, offsets, at_ms)
    pages, first = [], 20
    while first < 300:
        pages.append((first, first + chance.randrange(60)))
        first = pages[-1][1] + 1
    parts = [whole.part(begin, begin + 70) for begin in range(0, 500, 70)]
    blocks = list(cut(parts, pages, chance.choice([1, 10, 100, 1_000])))
    assert np.concatenate([block.offsets for block in blocks]).tolist() == offsets.tolist()
    assert [page for block in blocks for page in block.closed] == pages
    for block in blocks:
        owners = [first <= offset <= last for offset in block.offsets for first, last in block.pages]
        assert sum(owners) == (len(block) if block.pages else 0)
        if block.closed and len(block):
            assert block.offsets[-1] <= block.closed[-1][1]


def page(first: int, last: int, previous: bytes, digest: bytes, **fields: Any) -> dict[str, Any]:
    made = {
        "partition": 0,
        "catalog_offset": 5,
        "first_offset": first,
        "last_offset": last,
        "previous_digest": previous,
        "digest": digest,
    }
    return {**made, **fields}


def test_a_chain_is_broken_where_a_page_is_missing_doubled_forged_or_of_another_partition() -> None:
    one, two, three = page(0, 9, FIRST_DIGEST, b"1"), page(10, 19, b"1", b"2"), page(20, 29, b"2", b"3")

    def field(*pages: dict[str, Any], committed: int = 30) -> tuple[str, str] | None:
        found = chain.broken(0, pages, committed, catalog_end=9)
        return None if found is None else (found.page, found.field)

    assert field(one, two, three) is None
    assert field(one, three) == ("page 0@[20,29]", "first_offset")
    assert field(one, two) == ("page 0@[20,29]", "record")
    assert field(one, two, two, three) == ("page 0@[10,19]", "record")
    assert field(one, three, two) == ("page 0@[20,29]", "first_offset")
    assert field(one, {**two, "previous_digest": b"x"}, three) == ("page 0@[10,19]", "previous_digest")
    assert field(one, two, three, page(15, 40, b"3", b"4")) == ("page 0@[15,40]", "first_offset")
    assert field(one, {**two, "partition": 1}, three) == ("page 1@[10,19]", "partition")
    assert field({**one, "previous_digest": b"x"}, two, three) == ("page 0@[0,9]", "previous_digest")
    assert field(one, {**two, "catalog_offset": 4}, three) == ("page 0@[10,19]", "catalog_offset")
    assert field(one, two, {**three, "catalog_offset": 10}) == ("page 0@[20,29]", "catalog_offset")
    assert field(one, two, {**three, "catalog_offset": 9}) is None
    late = chain.begins_late(0, [two, three], 0)
    assert late is not None and late.page == "page 0@[0,9]"
    assert chain.begins_late(0, [two, three], 15) is None


def test_raw_rows_may_lack_only_what_an_older_row_owns() -> None:
    events = {offset: event(offset).to_record() for offset in (10, 11, 12)}
    rows = {o: {n: e[n] for n in ("customer_id", "event_id", *QUANTITY_FIELDS)} for o, e in events.items()}
    bounds = {"first_offset": 10, "last_offset": 19}
    identity = (events[11]["customer_id"], events[11]["event_id"])
    without = {offset: row for offset, row in rows.items() if offset != 11}

    def field(stored: dict[int, Any], owners: dict[tuple[str, str], tuple[int, int]]) -> str | None:
        found = raw.compare_raw(0, bounds, events, stored, owners)
        return None if found is None else found.field

    assert field(rows, {}) is None
    assert field(without, {}) == "offset 11"
    assert field(without, {identity: (0, 5)}) is None
    assert field(without, {identity: (0, 15)}) == "offset 11"
    assert field({**rows, 14: rows[10]}, {}) == "offset 14"
    assert field({**rows, 12: {**rows[12], "output_tokens": 1}}, {}) == "offset 12 output_tokens"


def numbered(folder: Path, name: str, blocks: list[tuple[bool, int, list[tuple[int, int]]]]) -> Path:
    """A partition's file of (source, sequence); each block is (before the pages, appended at, rows)."""
    path = folder / name
    with path.open("wb") as out:
        recorder = sequences.Recorder(out, NOW_MS)
        for before, at_ms, rows in blocks:
            source, sequence = zip(*rows, strict=True)
            arrived = Arrived(np.array(source, np.uint64), np.array(sequence), np.arange(len(rows)))
            recorder.add(arrived, np.full(len(rows), at_ms), before)
    return path


def test_a_gap_is_what_no_partition_has_and_nothing_that_may_still_come(tmp_path: Path) -> None:
    shuffled = list(range(100))
    random.Random(1).shuffle(shuffled)
    lost = {0, 7, 8, 9, 60}
    rows = [(1, n) for n in shuffled if n not in lost]
    paths = [
        numbered(tmp_path, "0", [(False, NOW_MS, [*rows[::2], (1, 5), (1, 5)]), (False, NOW_MS + 1, [(1, 200)])]),
        numbered(tmp_path, "1", [(False, NOW_MS, rows[1::2]), (False, NOW_MS, [(2, 0), (2, 1), (2, 1), (3, 0)])]),
    ]
    found = sequences.count_gaps(paths, {1: "gateway", 2: "retries", 3: "restarted"}, whole=True)
    assert (found.sources, found.missing) == (3, len(lost))
    (gap,) = found.gaps
    assert (gap.source, gap.missing, gap.ranges) == ("gateway", 5, [(0, 0), (7, 9), (60, 60)])
    assert list(sequences.described(found)) == ["gateway: 5 missing beside 95 seen: 0, 7-9, 60"]


def test_only_numbers_after_those_before_the_pages_are_judged(tmp_path: Path) -> None:
    rows = [(True, NOW_MS, [(1, 10), (1, 13)]), (False, NOW_MS, [(1, 11), (1, 14), (1, 16), (2, 500), (2, 502)])]
    found = sequences.count_gaps([numbered(tmp_path, "0", rows)], {1: "a", 2: "b"}, whole=False)
    assert {gap.source: gap.ranges for gap in found.gaps} == {"a": [(15, 15)], "b": [(501, 501)]}
