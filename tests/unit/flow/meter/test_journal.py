"""The journal: what is appended is read back, and whatever is torn, damaged, foreign or has a hole is not."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tokenmeter.flow.meter import journal as module
from tokenmeter.flow.meter.dedup import DedupKeys
from tokenmeter.flow.meter.journal import FileJournal, Span, contiguous

HORIZON_MS = 1_000
PRINT = b"12345678"


def dedup_keys(seed: int, count: int = 50) -> DedupKeys:
    chance = np.random.default_rng(seed)
    high, low, digest = (chance.integers(0, 2**63, count, np.uint64) for _ in range(3))
    return DedupKeys(high, low, digest, np.arange(count, dtype=np.int64))


def span(first_offset: int, next_offset: int, newest_ms: int = 1) -> Span:
    return Span(first_offset, next_offset, newest_ms, b"%032d" % next_offset)


def filled(folder: Path, spans: list[Span]) -> FileJournal:
    journal = FileJournal(folder, HORIZON_MS, PRINT)
    for one in spans:
        journal.append(one, dedup_keys(one.first_offset))
    return journal


def read(folder: Path) -> list[tuple[Span, bytes]]:
    journal = FileJournal(folder, HORIZON_MS, PRINT)
    return [(s.span, b"".join(c.tobytes() for c in vars(journal.load(s)).values())) for s in journal.stored()]


def wanted(spans: list[Span]) -> list[tuple[Span, bytes]]:
    return [(s, b"".join(c.tobytes() for c in vars(dedup_keys(s.first_offset)).values())) for s in spans]


PAGES = [span(0, 10), span(10, 25), span(25, 30)]


def test_what_is_appended_by_several_processes_is_read_back_in_order(tmp_path: Path) -> None:
    filled(tmp_path, PAGES[:1])
    filled(tmp_path, PAGES[1:])
    assert read(tmp_path) == wanted(PAGES)


def test_entries_before_a_hole_are_left_out(tmp_path: Path) -> None:
    filled(tmp_path, [PAGES[0], PAGES[2]])
    assert read(tmp_path) == wanted(PAGES[2:])


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_file_gives_whole_entries_only(tmp_path: Path, seed: int) -> None:
    filled(tmp_path, PAGES)
    (path,) = tmp_path.iterdir()
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[: random.Random(seed).randrange(whole)])
    found = read(tmp_path)
    assert found == wanted(PAGES[: len(found)])
    assert len(found) < len(PAGES)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_byte_is_noticed_wherever_it_is(tmp_path: Path, seed: int) -> None:
    filled(tmp_path, PAGES)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[random.Random(seed).randrange(len(data))] ^= 0x40
    path.write_bytes(data)
    found, all_of_them = read(tmp_path), wanted(PAGES)
    assert found in [all_of_them[:n] for n in range(3)] + [all_of_them[n:] for n in range(1, 3)]


def test_the_same_check_sees_damage_when_nobody_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, PAGES)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x40
    path.write_bytes(data)

    def unchecked(stored: module.Stored) -> bytes:
        header = module._HEADER.size
        data = stored.path.read_bytes()[stored.at_byte + header :]
        return data[: 50 * module.DEDUP_KEY_BYTES]

    monkeypatch.setattr(module, "_read", unchecked)
    found = read(tmp_path)
    assert found != wanted(PAGES) and len(found) == 3


def test_marks_hashed_another_way_are_foreign(tmp_path: Path) -> None:
    filled(tmp_path, PAGES)
    assert FileJournal(tmp_path, HORIZON_MS, b"another!").stored() == []


def test_files_older_than_the_horizon_are_forgotten(tmp_path: Path) -> None:
    spans = [span(n, n + 1, 100 * n) for n in range(100)]
    filled(tmp_path, spans)
    kept = [one for one, _ in read(tmp_path)]
    assert kept == spans[-len(kept) :]
    newest = spans[-1].newest_ms
    assert {one for one in spans if newest - one.newest_ms <= HORIZON_MS} <= set(kept)
    assert all(newest - one.newest_ms <= HORIZON_MS * 1.5 for one in kept)


def test_a_full_disk_costs_the_journal_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where a folder is wanted")
    filled(tmp_path / "journal", PAGES)
    assert read(tmp_path / "journal") == []


def test_the_line_is_the_unbroken_one_up_to_the_highest_offset() -> None:
    assert contiguous([]) == []
    assert contiguous([span(5, 9), span(0, 5), span(9, 12)]) == [1, 0, 2]
    assert contiguous([span(0, 5), span(6, 9), span(9, 12)]) == [1, 2]
