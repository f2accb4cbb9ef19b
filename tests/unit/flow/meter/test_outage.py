"""One customer's or one source's clock is put aside, everybody's stops the meter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.events import NOW_MS, value
from support.topic_log import TopicLog
from tokenmeter.events.contract import ALERTS, BILLING, EVENTS, QUARANTINE
from tokenmeter.events.errors import Fatal
from tokenmeter.flow.meter import MeterProcessor, MeterRules
from tokenmeter.flow.page.page import PageBounds

NOW = datetime.fromtimestamp(NOW_MS / 1_000, UTC)
AHEAD = NOW + timedelta(hours=1)
RULES = MeterRules(quarantine_ratio_min_events=100)
GOOD, BAD = 40, 100


def page(bad: list[bytes]) -> dict[str, int]:
    """Records by topic of a page with GOOD events and then the bad ones."""
    log = TopicLog()
    for number, one in enumerate([*(value(number) for number in range(GOOD)), *bad]):
        log.append(EVENTS, [None], [one], NOW_MS + number)
    meter = MeterProcessor(0, log, lambda: NOW, "meter", RULES)
    meter.add(log.batch(EVENTS, 0, log.end(EVENTS, 0)))
    outgoing = meter.close(PageBounds(EVENTS, 0, 0, log.end(EVENTS, 0)))
    return {one.topic: len(one.values) for one in outgoing}


def early(customers: int, sources: int) -> list[bytes]:
    """Events of clocks that are an hour ahead."""
    return [
        value(
            1_000 + n,
            occurred_at=AHEAD,
            started_at=None,
            customer_id=f"early-{n % customers}",
            source=f"gateway-{n % sources}",
        )
        for n in range(BAD)
    ]


@pytest.mark.parametrize(("customers", "sources"), [(1, 1), (2, 5), (50, 1)], ids=["one", "two", "one source"])
def test_what_is_one_customers_or_one_sources_fault_is_put_aside(customers: int, sources: int) -> None:
    made = page(early(customers, sources))
    assert made[QUARANTINE] == BAD
    assert made[BILLING] > 0
    assert made[ALERTS] >= 1, "and somebody is told"


def test_what_hits_many_stops_the_meter() -> None:
    with pytest.raises(Fatal, match=r"100 of 140 events .* of 3 customers and 2 sources"):
        page(early(3, 2))


def test_what_nobody_can_read_stops_the_meter() -> None:
    with pytest.raises(Fatal, match=r"mostly: \w+; of 0 customers and 0 sources, 100 unreadable"):
        page([b"\x00\x01not avro"] * BAD)
