"""Where a customer's events are, of a topic that has grown: held against the partitioner itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.growth import Growth, ancestors, eras, finished, growths
from tokenmeter.kafka.partitioner import partition_of

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def grown(before: int, partitions: int, *first_offsets: int) -> Growth:
    return Growth(partitions_before=before, partitions=partitions, first_offsets=first_offsets, grown_at=NOW)


TWICE = [grown(2, 4, 10, 20), grown(4, 12, 30, 40, 5, 6)]


def test_what_was_written_is_read_and_an_unfinished_growth_is_refused_until_it_is_finished() -> None:
    begun, done = grown(2, 4), grown(2, 4, 10, 20)
    values = [begun.to_value(), b"a stranger", done.to_value()]
    assert growths(values) == [done] == list(finished(growths(values)))
    with pytest.raises(Misconfigured, match="grows from 2 to 4") as refused:
        finished(growths(values[:2]))
    assert refused.value.hint == "tokenmeter topics grow 4"


def test_a_customers_earlier_events_are_on_the_ancestors_of_its_partition() -> None:
    for number in range(300):
        name = f"customer-{number}"
        places = [partition_of(name, count) for count in (2, 4, 12)]
        wanted = [(before, TWICE[step].first_offsets[before]) for step, before in enumerate(places[:2])]
        moved = [one for step, one in enumerate(wanted) if places[step] != places[step + 1]]
        assert list(ancestors(TWICE, places[2])) == moved


def test_a_partition_knows_the_counts_that_it_has_seen() -> None:
    assert eras(TWICE, 1) == ((20, 2), (40, 4))
    assert eras(TWICE, 3) == ((6, 4),)
    assert eras(TWICE, 9) == ()
