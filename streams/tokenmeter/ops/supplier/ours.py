"""Our side: what the billing lines in ClickHouse say the calls of some days cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.rating import BYOK_COST
from tokenmeter.ops.supplier.figures import Figures, Key
from tokenmeter.store.statement import sql

REPORTED_CURRENCY = "USD"
"""Of ``reported_cost``: the event's contract says so."""
UTC_ZONE = ZoneInfo("UTC")
_HOUR_S = 3_600


@dataclass(frozen=True)
class Days:
    """Whole days [since, until) of ``zone``."""

    since: date
    until: date
    zone: ZoneInfo = UTC_ZONE

    def parameters(self) -> dict[str, Any]:
        """As the queries take it; Misconfigured where a day does not begin with an hour, as our lines do."""
        ends = [datetime.combine(day, time(), self.zone).astimezone(UTC) for day in (self.since, self.until)]
        if any(end.timestamp() % _HOUR_S for end in ends):
            raise Misconfigured(f"days of {self.zone} do not begin with a UTC hour, and lines know no more than hours")
        return {"since": ends[0], "until": ends[1]}


def our_costs(client: Client, days: Days, providers: Sequence[str]) -> dict[Key, Figures]:
    """Cost and tokens by day, model and currency."""
    found: dict[Key, Figures] = defaultdict(Figures)
    for row in _rows(client, "costs", days, providers, zone=str(days.zone)):
        key = Key(row["day"], row["model"], row["currency"])
        # Corrections of tokens alone are no call; without a cost price what they cost is as unknown.
        uncosted = max(1, row["uncosted_calls"]) if row["currency"] is None else row["uncosted_calls"]
        found[key] += Figures(row["cost"], row["input_tokens"], row["output_tokens"], row["calls"], uncosted)
    return found


def reported_costs(client: Client, days: Days, providers: Sequence[str]) -> dict[Key, tuple[Figures, Figures]]:
    """(upstream's own figures, our cost of the same calls) by day, model, provider and our currency."""
    return {
        Key(row["day"], row["model"], row["currency"], row["provider"]): (
            Figures(row["reported"], calls=row["calls"]),
            Figures(row["cost"], calls=row["calls"], uncosted_calls=row["uncosted_calls"]),
        )
        for row in _rows(client, "reported", days, providers)
    }


def _rows(
    client: Client, name: str, days: Days, providers: Sequence[str], **parameters: Any
) -> Iterator[dict[str, Any]]:
    statement = sql(name, "tokenmeter.ops.supplier")
    asked = {**days.parameters(), "providers": list(providers), "own_key": BYOK_COST, **parameters}
    for row in client.query(statement, parameters=asked).named_results():
        yield dict(row)
