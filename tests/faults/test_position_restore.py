"""Fault: the meter's consumer group is deleted between two waves. Invariant: the meter refuses and names the command,
the command puts every position to the end of its last page, and afterwards each event is metered once. Positions at the
end of the log, where a careless hand puts them first, would lose the second wave and are found.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from support.broker import eventually
from support.world import World
from tokenmeter.cli import position as cli_position
from tokenmeter.events.contract import EVENTS, PAGES
from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.groups import METER
from tokenmeter.flow.faust.worker import EXIT_CRASHED
from tokenmeter.kafka.logreader import KafkaLogReader
from tokenmeter.ops import position
from tokenmeter.ops.position import restore, wrong_positions
from tokenmeter.stack.alone import require_alone


def test_a_deleted_group_is_restored_from_the_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with World.begun(tmp_path) as world:
        client, waves = world.client, world.waves
        waves.wave(300)
        meter = world.worker("meter")
        world.wait_read("meter")
        with pytest.raises(Misconfigured, match=r"another stack's workers read this Kafka \(tokenmeter-meter on"):
            require_alone(client, 0)
        meter.kill()
        require_alone(client, 120)
        assert wrong_positions(client) == []
        eventually("the group is empty", lambda: _delete(world.admin), 120)
        waves.wave(300)

        meter = world.worker("meter")
        assert meter.wait_ended(120) == EXIT_CRASHED
        assert "tokenmeter position restore --apply" in meter.log.read_text()
        assert waves.problems(), "the second wave is not metered"
        wrong = wrong_positions(client)
        assert [(one.was, one.is_ > 0) for one in wrong] == [(0, True)] * 2
        ends = [TopicPartition(EVENTS, p, KafkaLogReader(client).end(EVENTS, p)) for p in range(2)]
        eventually("the careless hand", lambda: _put(world.admin, ends), 120)
        assert [one.was for one in wrong_positions(client)] == [end.offset for end in ends]
        meter = world.worker("meter")  # it dies and is started again meanwhile
        monkey = pytest.MonkeyPatch()
        monkey.setattr(cli_position, "kafka", lambda *_: client)
        cli_position.restore_(apply=True, data=tmp_path)
        monkey.undo()
        assert "2 positions restored" in capsys.readouterr().out
        assert restore(client) == []
        meter.kill()
        world.worker("meter")
        world.wait_read("meter")
        assert world.check().problems() == []


def test_an_open_transaction_of_a_stranger_is_a_refusal_with_the_place_and_no_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World.begun(tmp_path) as world:
        client = world.client
        monkeypatch.setattr(position, "KafkaLogReader", lambda client: KafkaLogReader(client, stall_s=2))
        assert wrong_positions(client) == []
        stranger = Producer({**client, "transactional.id": "stranger"})
        stranger.init_transactions(60)
        stranger.begin_transaction()
        stranger.produce(PAGES, b"x", b"k", 1)
        assert stranger.flush(60) == 0
        with pytest.raises(Fatal, match=r"usage.pages/1 stands still .* a transaction is open"):
            wrong_positions(client)
        stranger.abort_transaction(60)
        assert wrong_positions(client) == []


def _put(admin: AdminClient, ends: list[TopicPartition]) -> bool:
    try:
        wanted = [ConsumerGroupTopicPartitions(METER.id, ends)]
        done = admin.alter_consumer_group_offsets(wanted)[METER.id].result(30)
    except KafkaException:
        return False
    return all(one.error is None for one in done.topic_partitions)  # not while the dead one's session lasts


def _delete(admin: AdminClient) -> bool:
    try:
        admin.delete_consumer_groups([METER.id])[METER.id].result(30)
    except KafkaException:
        return False
    return True
