"""ClickHouse's raw rows of one page, event by event: asked only when the page's sums differ.

ClickHouse keeps the first event of an identity for ever, the meter remembers it for a horizon. So a row may be missing
when an older one of the same identity is kept: a repeat that came late. Anything else that is missing is a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from string import Template
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.audit.compare import Difference, name_of
from tokenmeter.audit.recount import Recount
from tokenmeter.audit.reference import LogRecord, read
from tokenmeter.audit.routes import Route
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.store.statement import sql

ASKED_AT_ONCE = 5_000
TABLE = "ClickHouse usage_events"

Owner = tuple[int, int]
"""(partition, offset) of a row."""


def agree(counted: Recount, stored: Mapping[str, Any]) -> bool:
    """Whether a page's sums say that its raw rows are its metered events, no more and no less."""
    wanted = {
        "events": counted.events,
        "offset_sum": counted.offset_sum,
        "offset_squares": counted.offset_squares,
        **counted.quantities,
    }
    return all(stored.get(name, 0) == value for name, value in wanted.items())


def explain(
    partition: int,
    page: Mapping[str, Any],
    records: Iterable[LogRecord],
    client: Client,
    unknown_then: Set[int],
    route: Route | None = None,
) -> Difference | None:
    """The first raw row of ``page`` that should not be as it is, or None when late repeats explain all.

    ``unknown_then`` as in ``reference.recount``, ``route`` as in ``reference.read``.
    """
    usable = {}
    for record in records:
        unknown = record.offset in unknown_then
        reason, event = read(record.value, record.appended_at_ms, unknown, route, record.offset)
        if event is not None and not reason:
            usable[record.offset] = event
    rows = client.query(
        Template(sql("raw_rows", "tokenmeter.audit")).substitute(fields=", ".join(QUANTITY_FIELDS)),
        parameters={"partition": partition, "first": page["first_offset"], "last": page["last_offset"]},
    )
    stored = {int(row["offset"]): row for row in rows.named_results()}
    missing = [offset for offset in sorted(usable) if offset not in stored]
    owners: dict[tuple[str, str], Owner] = {}
    for begin in range(0, len(missing), ASKED_AT_ONCE):
        asked = [_identity(usable[offset]) for offset in missing[begin : begin + ASKED_AT_ONCE]]
        found = client.query(sql("raw_owners", "tokenmeter.audit"), parameters={"events": asked})
        owners |= {(row[0], row[1]): (int(row[2]), int(row[3])) for row in found.result_rows}
    return compare_raw(partition, page, usable, stored, owners)


def compare_raw(
    partition: int,
    page: Mapping[str, Any],
    usable: Mapping[int, Mapping[str, Any]],
    stored: Mapping[int, Mapping[str, Any]],
    owners: Mapping[tuple[str, str], Owner],
) -> Difference | None:
    """``usable`` events and ``stored`` rows by offset; ``owners``: where the events that are missing are kept."""
    name = name_of(partition, page["first_offset"], page["last_offset"])
    for offset in sorted({*usable, *stored}):
        event, row = usable.get(offset), stored.get(offset)
        if event is None:
            return Difference(name, f"offset {offset}", "log", "no usable event", TABLE, "a row")
        if row is None:
            owner = owners.get(_identity(event))
            if owner is None or (owner[0] == partition and owner[1] > offset):
                return Difference(name, f"offset {offset}", "log", f"event {event['event_id']}", TABLE, "no row")
            continue
        for field in ("customer_id", "event_id", *QUANTITY_FIELDS):
            if row[field] != event[field]:
                return Difference(name, f"offset {offset} {field}", "log", event[field], TABLE, row[field])
    return None


def _identity(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["customer_id"], event["event_id"]
