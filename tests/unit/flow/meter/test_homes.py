"""Whose event is misrouted where usage.events has grown: the count in force at its offset decides, in one batch too."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tokenmeter.audit.routes import Route
from tokenmeter.flow.meter.routes import Homes, partition_of

CUSTOMERS = [f"customer-{number}" for number in range(400)]
GROWN_AT = 200


def strays(homes: Homes, first: int) -> set[int]:
    """Offsets that are misrouted, of an event of each customer from ``first`` on; the others are kept in order."""
    offsets = np.arange(first, first + len(CUSTOMERS))
    events = pl.DataFrame({"customer_id": CUSTOMERS, "offset": offsets})
    kept, misrouted = homes.split(events, offsets)
    found = {offset for frame, _ in misrouted for offset in frame["offset"].to_list()}
    assert kept["offset"].to_list() == [offset for offset in offsets.tolist() if offset not in found]
    return found


@pytest.mark.parametrize("first", [0, GROWN_AT - 400, GROWN_AT, 50])
def test_each_event_is_judged_by_the_count_of_its_offset_and_the_audit_agrees(first: int) -> None:
    homes, route = Homes(1, 8, ((GROWN_AT, 4),)), Route(1, 8, ((GROWN_AT, 4),))
    wanted = set()
    for offset, name in enumerate(CUSTOMERS, first):
        if partition_of(name, 4 if offset < GROWN_AT else 8) != 1:
            wanted.add(offset)
        assert route.misrouted(name, offset) == (offset in wanted)
    assert strays(homes, first) == wanted
    if first < GROWN_AT:
        assert strays(Homes(1, 8), first) != wanted, "the mutant that knows one count alone"
