"""LiteLLM's times are local and naive: in the two nights when clocks change, their differences are an hour off.

The shared case O01. The control is the difference of the naive times themselves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from support.local_time import NEW_YORK, NIGHTS, zone
from tokenmeter.emit.integrations.ids import event_id
from tokenmeter.emit.integrations.litellm_kwargs import utc


@pytest.mark.parametrize(("began", "ended"), NIGHTS)
def test_a_call_in_a_night_when_clocks_change_took_as_long_as_it_took(began: datetime, ended: datetime) -> None:
    with zone(NEW_YORK):
        assert utc(ended) - utc(began) == timedelta(seconds=15)
        assert event_id(utc(began)) < event_id(utc(ended)), "ids go by the time of UTC"
    assert abs(ended - began) > timedelta(minutes=59), "naive times do not tell it"


def test_the_fold_of_a_clocks_own_time_is_kept() -> None:
    """Python's clock says of its naive times which of the two hours they are in."""
    with zone(NEW_YORK):
        for second in range(0, 2 * 3600, 600):
            moment = datetime(2026, 11, 1, 5, tzinfo=UTC) + timedelta(seconds=second)
            assert utc(datetime.fromtimestamp(moment.timestamp())) == moment


def test_a_time_that_knows_its_zone_is_that_time() -> None:
    with zone(NEW_YORK):
        at = datetime(2026, 11, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        assert utc(at) == at and utc(at).tzinfo is UTC
