"""Events judged in columns, against the rule that judges one."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np

from support.events import NOW, NOW_MS, event
from tokenmeter.events import accept, wire
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.flow.columns.decode import INDEX, decode
from tokenmeter.flow.columns.validate import REASON, validate


def test_judging_columns_gives_the_reason_judging_one_event_gives() -> None:
    chance = random.Random(3)
    records = []
    for number in range(300):
        record = event(number).to_record()
        name = chance.choice([*QUANTITY_FIELDS, *accept.INT_FIELDS, "occurred_at", "kind", "customer_id", "none"])
        if name in QUANTITY_FIELDS:
            record[name] = chance.choice([-1, 0, 10**6, 10**13])
        elif name == "occurred_at":
            record[name] = NOW + timedelta(days=chance.choice([-36, -34, 0, 1]))
        elif name == "kind":
            record[name] = "CORRECTION"
        elif name == "customer_id":
            record[name] = chance.choice(["", "x" * 300])
        records.append(record)
    frame = decode([wire.encode("usage_event", record) for record in records]).frame
    usable, refused = validate(frame, np.full(frame.height, NOW_MS))
    found = {**dict.fromkeys(usable[INDEX]), **dict(refused.select(INDEX, REASON).iter_rows())}
    wanted = {i: accept.reason_against(record, NOW_MS * 1000) for i, record in enumerate(records)}
    assert found == wanted
    assert len(set(wanted.values())) > 5
