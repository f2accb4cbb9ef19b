"""However the fetches cut a page, the page is the same: small batches wait and are metered together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.events import NOW_MS, event
from support.topic_log import TopicLog
from tokenmeter.events import wire
from tokenmeter.events.contract import EVENTS, PAGES, QUARANTINE
from tokenmeter.flow.meter import MeterProcessor
from tokenmeter.flow.meter import meter as module
from tokenmeter.flow.page.page import Outgoing, PageBounds

COUNT = 120
NOW = datetime.fromtimestamp(NOW_MS / 1_000, UTC)


def page(log: TopicLog, size: int) -> list[Outgoing]:
    """The page that a meter makes of the log, fetched ``size`` offsets at a time."""
    meter = MeterProcessor(0, log, lambda: NOW, "meter")
    end = log.end(EVENTS, 0)
    for start in range(0, end, size):
        meter.add(log.batch(EVENTS, start, min(end, start + size)))
    return meter.close(PageBounds(EVENTS, 0, 0, end))


@pytest.fixture
def log() -> TopicLog:
    """Events, repeats of some, a conflict, bytes that are none, and holes between them."""
    made = TopicLog()
    events = [event(number) for number in range(COUNT)]
    events += [*events[5:25], event(7, output_tokens=4_999)]
    values = [wire.encode("usage_event", one.to_record()) for one in events]
    for number, value in enumerate([*values[:60], b"\x00\x01not avro", *values[60:]]):
        made.append(EVENTS, [None], [value], NOW_MS + number)
        if number % 10 == 0:
            made.marker(EVENTS)
    return made


@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("decoded", [1, 40, 5_000])
@pytest.mark.parametrize("together", [1, 40, 5_000])
def test_a_page_is_the_same_however_it_was_fetched(
    log: TopicLog, size: int, decoded: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = page(log, log.end(EVENTS, 0))
    assert {one.topic: len(one.values) for one in whole}[QUARANTINE] == 2
    record = wire.decode({one.topic: one.values for one in whole}[PAGES][0]).record
    assert (record["events"], record["duplicates"], record["quarantined"]) == (COUNT, 20, 2)
    monkeypatch.setattr(module, "DECODED_EVENTS_MIN", decoded)
    monkeypatch.setattr(module, "TOGETHER_EVENTS_MIN", together)
    assert page(log, size) == whole
