"""An event on a partition that is not its customer's is put aside whole; who does not look meters it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.events import NOW_MS, value
from support.topic_log import TopicLog
from tokenmeter.events import decode
from tokenmeter.events.contract import EVENTS, PAGES, QUARANTINE
from tokenmeter.flow.meter import MeterProcessor, MeterRules
from tokenmeter.flow.meter.routes import Homes, Routes
from tokenmeter.flow.page.page import PageBounds
from tokenmeter.kafka.partitioner import partition_of

PARTITIONS, SENT = 4, 400
CUSTOMERS = [f"customer-{n}" for n in range(40)]
MINE = {customer for customer in CUSTOMERS if partition_of(customer, PARTITIONS) == 0}
NOW = datetime.fromtimestamp(NOW_MS / 1_000, UTC)


def metered() -> tuple[dict[str, int], list[dict[str, object]]]:
    """(the page, what is in quarantine) of a partition that got every customer's events."""
    log = TopicLog()
    for n in range(SENT):
        customer = CUSTOMERS[n % len(CUSTOMERS)]
        made = value(n, customer_id=customer, source=f"gateway-{n % 3}")
        log.append(EVENTS, [customer.encode()], [made], NOW_MS + n)
    meter = MeterProcessor(0, log, lambda: NOW, "meter", MeterRules(quarantine_ratio_min_events=100))
    meter._fold.homes = Homes(0, PARTITIONS)
    for at in range(0, SENT, 100):
        meter.add(log.batch(EVENTS, at, at + 100))
    outgoing = {one.topic: one.values for one in meter.close(PageBounds(EVENTS, 0, 0, SENT))}
    page = decode(outgoing[PAGES][0]).record
    return page, [decode(one).record for one in outgoing[QUARANTINE]]


def faults(page: dict[str, int], put_aside: list[dict[str, object]]) -> list[str]:
    mine = sum(customer in MINE for customer in (CUSTOMERS[n % len(CUSTOMERS)] for n in range(SENT)))
    found = [] if page["events"] == mine else [f"{page['events']} of {mine} events metered"]
    if {one["reason"] for one in put_aside} != {"misrouted"} or len(put_aside) != SENT - mine:
        found.append(f"{len(put_aside)} put aside")
    return found + [f"{one['customer_id']}" for one in put_aside if one["customer_id"] in MINE]


def test_what_lies_on_anothers_partition_is_put_aside_and_stops_nobody() -> None:
    page, put_aside = metered()
    assert faults(page, put_aside) == []
    assert page["misrouted_customers"] == 0, "none is metered"
    assert all(f"is {partition_of(str(one['customer_id']), 4)} of 4" in str(one["detail"]) for one in put_aside)


def test_the_check_catches_a_meter_that_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Routes, "split", lambda routes, events: (events, None))
    assert faults(*metered())
