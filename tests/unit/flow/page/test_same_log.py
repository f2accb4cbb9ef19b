"""A worker's folder is of one log: another cluster, a topic made anew and a grown one are refused and noticed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.events.growth import Growth
from tokenmeter.flow.page.same_log import IDENTITY_FILE, IDENTITY_LOOK_S, SameLog
from tokenmeter.kafka.identity import LogIdentity, TopicIdentity

KNOWN = LogIdentity("cluster", {"usage.events": TopicIdentity("one", 4)})
OTHERS = {
    "made anew": LogIdentity("cluster", {"usage.events": TopicIdentity("two", 4)}),
    "in another cluster": LogIdentity("other", {"usage.events": TopicIdentity("two", 4)}),
    "has 8 partitions and had 4": LogIdentity("cluster", {"usage.events": TopicIdentity("one", 8)}),
    "usage.events is gone": LogIdentity("cluster"),
}


def test_the_same_log_is_taken_again_and_further_topics_are_learnt(tmp_path: Path) -> None:
    SameLog(tmp_path, lambda: KNOWN).require()
    more = LogIdentity("cluster", {**KNOWN.topics, "catalog": TopicIdentity("three", 1)})
    SameLog(tmp_path, lambda: more).require()
    SameLog(tmp_path, lambda: more).require()
    assert (tmp_path / IDENTITY_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(Misconfigured, match="catalog"):
        SameLog(tmp_path, lambda: KNOWN).require()


@pytest.mark.parametrize("said", OTHERS)
def test_another_log_is_refused_in_one_line_and_noticed_while_running(tmp_path: Path, said: str) -> None:
    SameLog(tmp_path, lambda: KNOWN).require()
    with pytest.raises(Misconfigured, match=said) as refused:
        SameLog(tmp_path, lambda: OTHERS[said]).require()
    assert "\n" not in str(refused.value)
    assert refused.value.hint
    assert LogIdentity.from_json((tmp_path / IDENTITY_FILE).read_text()) == KNOWN, "what was known stays known"
    assert IDENTITY_LOOK_S * 2 < 30, "noticed within 30 s, even if Kafka takes a while to answer"

    answers = iter([KNOWN, Fatal("away"), OTHERS[said]])
    died = threading.Event()

    def read() -> LogIdentity:
        answer = next(answers)
        if isinstance(answer, Fatal):
            raise answer
        return answer

    SameLog(tmp_path, read).watch(lambda error: died.set() if said in str(error) else None, look_s=0.001)
    assert died.wait(120)


def test_a_folder_of_before_takes_the_log_that_is_there(tmp_path: Path) -> None:
    SameLog(tmp_path, lambda: OTHERS["made anew"]).require()
    with pytest.raises(Misconfigured, match="made anew"):
        SameLog(tmp_path, lambda: KNOWN).require()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).write_text("{")
    with pytest.raises(Misconfigured, match="cannot be read"):
        SameLog(tmp_path, lambda: KNOWN).require()


def test_a_log_that_was_grown_by_the_command_is_the_same_and_one_that_grows_is_refused(tmp_path: Path) -> None:
    def growth(*first_offsets: int) -> Growth:
        when = datetime(2026, 11, 27, tzinfo=UTC)
        return Growth(partitions_before=4, partitions=8, first_offsets=first_offsets, grown_at=when)

    grown = OTHERS["has 8 partitions and had 4"]
    SameLog(tmp_path, lambda: KNOWN).require()
    with pytest.raises(Misconfigured, match="has not got there"):
        SameLog(tmp_path, lambda: grown, lambda: [growth()]).require()
    with pytest.raises(Misconfigured, match="tokenmeter topics grow 8"):
        SameLog(tmp_path, lambda: grown).require()
    SameLog(tmp_path, lambda: grown, lambda: [growth(1, 2, 3, 4)]).require()
    SameLog(tmp_path, lambda: grown, lambda: [growth(1, 2, 3, 4)]).require()
    with pytest.raises(Misconfigured, match="has 4 partitions and had 8"):
        SameLog(tmp_path, lambda: KNOWN, lambda: [growth(1, 2, 3, 4)]).require()
