"""Fault: topics are deleted and made again under the same names. Invariant: the loader refuses them and says the
way out; what was loaded of the old ones stays as it is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.broker import eventually
from support.world import World
from tokenmeter.events.contract import BILLING, EVENTS
from tokenmeter.flow.faust.worker import EXIT_CRASHED
from tokenmeter.stack.topics import ensure_topics

EVENTS_SENT = 400
PARTITIONS = 2


def load_delete_and_load_again(folder: Path, mutant: str | None = None) -> tuple[int, str]:
    """(rows that came from the topic made anew, what the second loader's log ends with)."""
    with World.begun(folder, PARTITIONS, clickhouse=True) as world:

        def rows() -> int:
            return int(world.store.query("SELECT count() FROM tokenmeter.usage_events FINAL").result_rows[0][0])

        world.waves.wave(EVENTS_SENT)
        first = world.worker("load", slot="first", mutant=mutant)
        eventually(f"all is loaded; {first.log}", lambda: rows() == EVENTS_SENT)
        first.kill()
        world.delete(EVENTS, BILLING)
        ensure_topics(world.client, PARTITIONS)
        world.waves.wave(EVENTS_SENT)
        second = world.worker("load", slot="second", mutant=mutant)
        eventually(f"it ends or loads; {second.log}", lambda: not second.child.is_alive() or rows() > EVENTS_SENT)
        if mutant is None:
            assert second.wait_ended() == EXIT_CRASHED
        return rows() - EVENTS_SENT, second.log.read_text()


def test_a_topic_made_anew_is_refused_with_the_way_out(tmp_path: Path) -> None:
    rows, log = load_delete_and_load_again(tmp_path)
    assert rows == 0
    assert f"{BILLING}, {EVENTS}: deleted and made anew" in log
    assert "tokenmeter rebuild --accept-loss --yes" in log


@pytest.mark.long
def test_a_loader_that_does_not_look_loads_it(tmp_path: Path) -> None:
    rows, _ = load_delete_and_load_again(tmp_path, "any_topic")
    assert rows > 0
