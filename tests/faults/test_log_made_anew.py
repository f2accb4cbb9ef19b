"""Fault: usage.events is deleted and made anew, or grown, under a running meter. Invariant: the meter ends within 30 s
of it with one line that says so, and does not start again on the other log. (A meter that does not look: the unit
test's ``KNOWN`` is what it would go on with.)
"""

from __future__ import annotations

import time
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewPartitions

from support import oracle
from support.broker import broker, eventually, lag
from support.workers import WorkerProcess
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.flow.faust.worker import EXIT_CRASHED
from tokenmeter.flow.meter import app as meter_app
from tokenmeter.stack.topics import ensure_topics

NOTICED_WITHIN_S = 30.0
PARTITIONS = 4


def delete(admin: AdminClient, *topics: str) -> None:
    for deleted in admin.delete_topics(list(topics)).values():
        deleted.result(30)
    eventually("they are gone", lambda: not set(topics) & set(admin.list_topics(timeout=10).topics), 120)


def test_a_grown_topic_and_one_made_anew_are_noticed_and_refused(tmp_path: Path) -> None:
    with broker(tmp_path, PARTITIONS) as kafka:
        client = {"bootstrap.servers": kafka.bootstrap}
        admin = AdminClient(client)
        for name, said in (("grown", "has 8 partitions and had 4"), ("anew", "deleted and made anew")):
            oracle.send(kafka.bootstrap, oracle.made(0, 40))
            meter = WorkerProcess(tmp_path, name, "meter", kafka.bootstrap)
            eventually(f"metered; {meter.log}", lambda: lag(kafka.bootstrap, meter_app.APP_ID, EVENTS) == 0, 120)
            began = time.monotonic()
            if name == "grown":
                admin.create_partitions([NewPartitions(EVENTS, 8)])[EVENTS].result(30)
            else:
                delete(admin, EVENTS)
                ensure_topics(client, PARTITIONS)
            assert meter.wait_ended(120) == EXIT_CRASHED
            took_s = time.monotonic() - began
            assert said in meter.log.read_text()
            meter.child.start()
            meter.wait_ended(120)
            assert "another log than this worker's" in meter.child.log_tail()
            print(f"{name}: noticed within {took_s:.1f} s")
            if name == "grown":
                delete(admin, EVENTS, PAGES)
                ensure_topics(client, PARTITIONS)
