"""The journal: what is appended is read back, and whatever is torn, damaged, foreign or has a hole is not."""

from __future__ import annotations

import os
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


def stored(folder: Path) -> list[Span]:
    return [one.span for one in FileJournal(folder, HORIZON_MS, PRINT).stored()]


def wanted(spans: list[Span]) -> list[tuple[Span, bytes]]:
    return [(s, b"".join(c.tobytes() for c in vars(dedup_keys(s.first_offset)).values())) for s in spans]


PAGES = [span(0, 10), span(10, 25), span(25, 30)]
WITHOUT = {0: PAGES[1:], 1: PAGES[2:], 2: PAGES[:2]}
"""What is left of PAGES when the file of one of them is of no use."""


def page_file(folder: Path, page: int) -> Path:
    return sorted(folder.iterdir())[page]


def test_what_is_appended_by_several_processes_is_read_back_in_order(tmp_path: Path) -> None:
    filled(tmp_path, PAGES[:1])
    filled(tmp_path, PAGES[1:])
    assert read(tmp_path) == wanted(PAGES)


def test_a_page_without_a_usable_event_is_read_back(tmp_path: Path) -> None:
    filled(tmp_path, PAGES[:2]).append(PAGES[2], dedup_keys(0, count=0))
    assert read(tmp_path) == [*wanted(PAGES[:2]), (PAGES[2], b"")]


def test_entries_before_a_hole_are_left_out(tmp_path: Path) -> None:
    filled(tmp_path, [PAGES[0], PAGES[2]])
    assert read(tmp_path) == wanted(PAGES[2:])


@pytest.mark.parametrize("page", range(3))
@pytest.mark.parametrize("seed", range(20))
def test_a_torn_file_is_left_out(tmp_path: Path, page: int, seed: int) -> None:
    filled(tmp_path, PAGES)
    path = page_file(tmp_path, page)
    path.write_bytes(path.read_bytes()[: random.Random(seed).randrange(path.stat().st_size)])
    assert read(tmp_path) == wanted(WITHOUT[page])


@pytest.mark.parametrize("page", range(3))
def test_a_damaged_byte_is_noticed_wherever_it_is(tmp_path: Path, page: int) -> None:
    filled(tmp_path, PAGES)
    path = page_file(tmp_path, page)
    with path.open("r+b", buffering=0) as file:
        for at, was in enumerate(path.read_bytes()):
            os.pwrite(file.fileno(), bytes([was ^ 0x40]), at)
            assert stored(tmp_path) == WITHOUT[page], at
            os.pwrite(file.fileno(), bytes([was]), at)
    assert read(tmp_path) == wanted(PAGES)


@pytest.mark.parametrize("page", range(3))
def test_a_damaged_name_is_noticed_wherever_it_is(tmp_path: Path, page: int) -> None:
    filled(tmp_path, PAGES)
    path = page_file(tmp_path, page)
    for at, was in enumerate(path.name):
        renamed = path.rename(tmp_path / (path.name[:at] + ("1" if was == "0" else "0") + path.name[at + 1 :]))
        assert stored(tmp_path) == WITHOUT[page], renamed.name
        renamed.rename(path)
    assert read(tmp_path) == wanted(PAGES)


def test_the_same_checks_see_damage_when_nobody_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, PAGES)
    path = page_file(tmp_path, 1)
    data = bytearray(path.read_bytes())
    data[data.index(dedup_keys(PAGES[1].first_offset).low.tobytes())] ^= 0x40
    path.write_bytes(data)
    monkeypatch.setattr(module, "_read", Path.read_bytes)
    found = read(tmp_path)
    assert found != wanted(PAGES) and len(found) == 3
    last = page_file(tmp_path, 2)
    last.rename(last.with_name(last.name.replace(f"{30:020d}-1", f"{31:020d}-1")))
    assert stored(tmp_path)[2].next_offset == 31


def test_a_file_that_goes_while_it_is_read_is_an_error_and_not_a_page_without_keys(tmp_path: Path) -> None:
    journal = filled(tmp_path, PAGES)
    found = journal.stored()
    found[0].path.unlink()
    with pytest.raises(OSError, match="changed while it was read"):
        journal.load(found[0])


def test_two_writers_of_the_same_pages_leave_whole_files(tmp_path: Path) -> None:
    frozen, successor = (FileJournal(tmp_path, HORIZON_MS, PRINT) for _ in range(2))
    for one in PAGES:
        frozen.append(one, dedup_keys(one.first_offset))
        successor.append(one, dedup_keys(one.first_offset))
    assert read(tmp_path) == wanted(PAGES)
    frozen.append(PAGES[1], dedup_keys(99))
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(whole) == len(PAGES) + 1
    successor.append(PAGES[1], dedup_keys(98))
    assert whole.items() < {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items()


def test_what_another_is_still_writing_is_not_read_and_is_left_alone_until_it_is_old(tmp_path: Path) -> None:
    filled(tmp_path, PAGES)
    path = page_file(tmp_path, 2)
    unfinished = path.rename(f"{path}.{0:032x}")
    successor = FileJournal(tmp_path, HORIZON_MS, PRINT)
    assert [one.span for one in successor.stored()] == PAGES[:2]
    successor.append(span(30, 31, HORIZON_MS), dedup_keys(30))
    assert unfinished.exists()
    successor.append(span(31, 32, HORIZON_MS + 2), dedup_keys(31))
    assert not unfinished.exists()


def test_files_of_the_earlier_format_are_removed_and_strangers_are_left_alone(tmp_path: Path) -> None:
    filled(tmp_path, PAGES)
    earlier, stranger = tmp_path / f"{0:020d}-{0:032x}.marks", tmp_path / "note.txt"
    earlier.write_bytes(b"tmj1")
    stranger.write_text("not ours")
    assert read(tmp_path) == wanted(PAGES)
    assert not earlier.exists() and stranger.exists()


def test_a_cleared_journal_has_nothing_and_goes_on(tmp_path: Path) -> None:
    journal = filled(tmp_path, PAGES[:2])
    journal.clear()
    assert list(tmp_path.iterdir()) == []
    journal.append(PAGES[2], dedup_keys(PAGES[2].first_offset))
    assert read(tmp_path) == wanted(PAGES[2:])


def test_marks_hashed_another_way_are_foreign(tmp_path: Path) -> None:
    filled(tmp_path, PAGES)
    assert FileJournal(tmp_path, HORIZON_MS, b"another!").stored() == []


def test_files_older_than_the_horizon_are_forgotten_by_who_wrote_them_and_by_who_found_them(tmp_path: Path) -> None:
    spans = [span(n, n + 1, 100 * n) for n in range(100)]
    filled(tmp_path, spans[:60])
    successor = FileJournal(tmp_path, HORIZON_MS, PRINT)
    assert [one.span for one in successor.stored()] == spans[49:60]
    for one in spans[60:]:
        successor.append(one, dedup_keys(one.first_offset))
    assert read(tmp_path) == wanted([one for one in spans if spans[-1].newest_ms - one.newest_ms <= HORIZON_MS])
    assert len(list(tmp_path.iterdir())) == 11


def test_a_page_without_a_record_is_forgotten_with_the_one_before_it(tmp_path: Path) -> None:
    spans = [span(0, 1, 5), span(1, 2, 500), span(2, 3, 0), span(3, 4, 1_200)]
    filled(tmp_path, spans)
    assert stored(tmp_path) == spans[1:]
    successor = FileJournal(tmp_path, HORIZON_MS, PRINT)
    successor.stored()
    successor.append(span(4, 5, 1_500), dedup_keys(4))
    assert stored(tmp_path) == [*spans[1:], span(4, 5, 1_500)]
    successor.append(span(5, 6, 1_501), dedup_keys(5))
    assert [one.first_offset for one in stored(tmp_path)] == [3, 4, 5]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_costs_the_journal_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "journal").write_text("a file where a folder is wanted")
    filled(tmp_path / "journal", PAGES)
    assert [one.getMessage().endswith("a restart will read the log instead") for one in caplog.records] == [True]
    assert read(tmp_path / "journal") == []


def test_the_line_is_the_unbroken_one_up_to_the_highest_offset() -> None:
    assert contiguous([]) == []
    assert contiguous([span(5, 9), span(0, 5), span(9, 12)]) == [1, 0, 2]
    assert contiguous([span(0, 5), span(6, 9), span(9, 12)]) == [1, 2]
