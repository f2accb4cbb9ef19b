"""Fault: the meter dies and its journal is whole, a page short, torn, of another log, or gone.

Invariant: the restored horizon is the one that was lost, whatever the journal says. The mutant believes any journal;
the same check must find what a foreign one makes it remember.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import oracle
from support.broker import broker
from support.inline_meter import Contents, InlineMeter
from tokenmeter.flow.meter import MeterProcessor
from tokenmeter.flow.meter.dedup import HORIZON_MINUTES, DedupKeys
from tokenmeter.flow.meter.journal import FileJournal, Stored
from tokenmeter.flow.meter.recover import Recovery

PRINT = b"12345678"
PAGES = 4


class BelievingRecovery(Recovery):
    """Takes whatever entries there are."""

    def _remembered(self) -> list[Stored]:
        return self.journal.stored()


class Believing(MeterProcessor):
    """Recovers by it."""

    _recovery = BelievingRecovery


class Counting(FileJournal):
    """Says how many entries were used."""

    loaded = 0

    def load(self, stored: Stored) -> DedupKeys:
        self.loaded += 1
        return super().load(stored)


def journal(folder: Path) -> Counting:
    return Counting(folder, HORIZON_MINUTES * 60_000, PRINT)


def metered(folder: Path, bootstrap: str, load: oracle.Load) -> Contents:
    """Meter PAGES pages, keeping the journal before the last of them in ``folder/short``; returns the horizon."""
    meter = InlineMeter(bootstrap, journal(folder / "whole"))
    for number in range(PAGES):
        if number == PAGES - 1:
            shutil.copytree(folder / "whole", folder / "short")
        load.wave(300)
        meter.page()
    meter.close()
    return meter.contents()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, oracle.Load, Contents]]:
    """A metered log, and the journal of another in ``folder/foreign``."""
    folder = tmp_path_factory.mktemp("journal")
    other = folder / "other"
    other.mkdir()
    with broker(other, 1) as kafka:
        load = oracle.Load(kafka.bootstrap)
        load.wave(50)
        metered(other, kafka.bootstrap, load)
    shutil.copytree(other / "whole", folder / "foreign")
    with broker(folder, 1) as kafka:
        load = oracle.Load(kafka.bootstrap)
        wanted = metered(folder, kafka.bootstrap, load)
        torn = folder / "torn"
        shutil.copytree(folder / "whole", torn)
        path = max(torn.iterdir())
        path.write_bytes(path.read_bytes()[:-100])
        yield folder, kafka.bootstrap, load, wanted


@pytest.mark.parametrize(
    ("name", "used"), [("whole", PAGES), ("short", PAGES - 1), ("torn", PAGES - 1), ("foreign", 0), ("gone", 0)]
)
def test_a_restored_horizon_is_the_lost_one_whatever_became_of_the_journal(
    logs: tuple[Path, str, oracle.Load, Contents], tmp_path: Path, name: str, used: int
) -> None:
    folder, bootstrap, _, wanted = logs
    if name != "gone":
        shutil.copytree(folder / name, tmp_path / name)
    first = journal(tmp_path / name)
    meter = InlineMeter(bootstrap, first)
    meter.close()
    assert meter.contents() == wanted
    assert first.loaded == used
    # What had to be read from the log is in the journal now.
    second = journal(tmp_path / name)
    again = InlineMeter(bootstrap, second)
    again.close()
    assert again.contents() == wanted
    assert second.loaded > 0


def test_the_same_check_finds_what_a_meter_that_believes_a_foreign_journal_remembers(
    logs: tuple[Path, str, oracle.Load, Contents], tmp_path: Path
) -> None:
    folder, bootstrap, _, wanted = logs
    shutil.copytree(folder / "foreign", tmp_path / "foreign")
    meter = InlineMeter(bootstrap, journal(tmp_path / "foreign"), Believing)
    meter.close()
    assert meter.contents() != wanted


def test_a_meter_that_restarted_from_its_journal_counts_every_event_once(
    logs: tuple[Path, str, oracle.Load, Contents], tmp_path: Path
) -> None:
    folder, bootstrap, load, _ = logs
    shutil.copytree(folder / "whole", tmp_path / "whole")
    meter = InlineMeter(bootstrap, journal(tmp_path / "whole"))
    load.repeated += 200 + oracle.send(bootstrap, load.sent[:200])
    load.wave(300)
    meter.page()
    meter.close()
    assert load.problems() == []
