"""Fault: usage.events is deleted and made anew, or grown, under a running meter. Invariant: the meter ends within 30 s
of it with one line that says so, and does not start again on the other log. (A meter that does not look: the unit
test's ``KNOWN`` is what it would go on with.)
"""

from __future__ import annotations

import time
from pathlib import Path

from confluent_kafka.admin import NewPartitions

from support.world import World
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.flow.faust.worker import EXIT_CRASHED
from tokenmeter.stack.topics import ensure_topics

NOTICED_WITHIN_S = 30.0
PARTITIONS = 4


def test_a_grown_topic_and_one_made_anew_are_noticed_and_refused(tmp_path: Path) -> None:
    with World.begun(tmp_path, PARTITIONS) as world:
        for name, said in (("grown", "has 8 partitions and had 4"), ("anew", "deleted and made anew")):
            world.waves.wave(40)
            meter = world.worker("meter", name)
            world.wait_read("meter")
            began = time.monotonic()
            if name == "grown":
                world.admin.create_partitions([NewPartitions(EVENTS, 8)])[EVENTS].result(30)
            else:
                world.delete(EVENTS)
                ensure_topics(world.client, PARTITIONS)
            assert meter.wait_ended(120) == EXIT_CRASHED
            took_s = time.monotonic() - began
            assert said in meter.log.read_text()
            meter.child.start()
            meter.wait_ended(120)
            assert "another log than this worker's" in meter.child.log_tail()
            print(f"{name}: noticed within {took_s:.1f} s")
            if name == "grown":
                world.delete(EVENTS, PAGES)
                ensure_topics(world.client, PARTITIONS)
