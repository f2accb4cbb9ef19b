"""Fault: topics are deleted and made again under the same names. Invariant: the loader refuses them and says the
way out; what was loaded of the old ones stays as it is.
"""

from __future__ import annotations

from pathlib import Path

from confluent_kafka.admin import AdminClient

from support import oracle
from support.broker import broker, eventually
from support.clickhouse import Server
from support.workers import WorkerProcess
from tokenmeter.events.contract import BILLING, EVENTS
from tokenmeter.flow.faust.worker import EXIT_CRASHED
from tokenmeter.stack.topics import ensure_topics
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate

EVENTS_SENT = 400
PARTITIONS = 2


def load_delete_and_load_again(folder: Path, twin: str | None = None) -> tuple[int, str]:
    """(rows that came from the topic made anew, what the second loader's log ends with)."""
    server = Server(folder)
    server.start()
    try:
        with broker(folder, PARTITIONS) as kafka:
            client = connect(server.url, "writer", "secret")
            migrate(client)

            def rows() -> int:
                return int(client.query("SELECT count() FROM tokenmeter.usage_events FINAL").result_rows[0][0])

            def loader(name: str) -> WorkerProcess:
                return WorkerProcess(
                    folder, name, "load", kafka.bootstrap, slot=name, twin=twin, clickhouse_url=server.url
                )

            oracle.send(kafka.bootstrap, oracle.made(0, EVENTS_SENT))
            first = loader("first")
            eventually(f"all is loaded; {first.log}", lambda: rows() == EVENTS_SENT)
            first.kill()
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
            for deleted in admin.delete_topics([EVENTS, BILLING]).values():
                deleted.result(30)
            remaining = {EVENTS, BILLING}
            eventually("the topics are gone", lambda: not remaining & set(admin.list_topics(timeout=10).topics))
            ensure_topics({"bootstrap.servers": kafka.bootstrap}, PARTITIONS)
            oracle.send(kafka.bootstrap, oracle.made(EVENTS_SENT, EVENTS_SENT))
            second = loader("second")
            try:
                eventually(
                    f"it ends or loads; {second.log}",
                    lambda: not second.child.is_alive() or rows() > EVENTS_SENT,
                )
                if twin is None:
                    assert second.wait_ended() == EXIT_CRASHED
                return rows() - EVENTS_SENT, second.log.read_text()
            finally:
                second.kill()
    finally:
        server.child.kill()


def test_a_topic_made_anew_is_refused_with_the_way_out(tmp_path: Path) -> None:
    rows, log = load_delete_and_load_again(tmp_path)
    assert rows == 0
    assert f"{BILLING}, {EVENTS}: deleted and made anew" in log
    assert "tokenmeter rebuild --accept-loss --yes" in log


def test_a_loader_that_does_not_look_loads_it(tmp_path: Path) -> None:
    rows, _ = load_delete_and_load_again(tmp_path, "any_topic")
    assert rows > 0
