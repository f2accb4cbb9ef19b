"""Where reconcile looks: how far Kafka's groups have come, and what ClickHouse says of pages, lines and raw events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaException

from tokenmeter.events.contract import BILLING, MARKET, PAGES
from tokenmeter.events.errors import Fatal
from tokenmeter.events.groups import LOAD, METER
from tokenmeter.events.lines import BILLING_USAGE_KEYS, CONTEXT_BUCKET_TOP, CONTEXT_BUCKETS, MARKET_USAGE_KEYS
from tokenmeter.kafka.ends import record_ends
from tokenmeter.kafka.positions import positions
from tokenmeter.ops.reconcile.corrections import BILLING_MEASURES, MARKET_ONLY, SOURCE, PageDifference
from tokenmeter.store.statement import sql

PAGES_AT_ONCE = 500
"""Pages named in one query: they travel in its URL."""
DERIVED: tuple[str, ...] = (BILLING, MARKET, PAGES)
"""What the meter writes and the lines and pages in ClickHouse are loaded from."""
_NO_BUCKET_ABOVE = 2**62

Offsets = dict[int, int]
"""By partition of usage.events."""


@dataclass(frozen=True)
class Behind:
    """A group that has not come to where a topic ended."""

    who: str
    topic: str
    partition: int
    at: int
    end: int

    def __str__(self) -> str:
        return f"the {self.who} is behind: {self.topic}/{self.partition} is done to offset {self.at} of {self.end}"


class Positions:
    """Ends of topics and committed positions of the meter and the loader; commits nothing."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = dict(client)

    def ends(self, topic: str) -> Offsets:
        """See record_ends."""
        return record_ends(self._client, topic)

    def behind(self, who: str, topic: str, ends: Offsets) -> Behind | None:
        """The first partition of ``topic`` that ``who`` ("meter" or "loader") has not committed to its end."""
        wanted = [(topic, partition) for partition, end in ends.items() if end]
        try:
            places = positions(self._client, (METER if who == "meter" else LOAD).id, wanted)
        except KafkaException as error:
            raise Fatal(
                f"Kafka does not say how far the {who} is: {error.args[0].str()}", hint="tokenmeter status"
            ) from error
        for (_, partition), at in places.items():
            if at < ends[partition]:
                return Behind(who, topic, partition, at, ends[partition])
        return None


@dataclass(frozen=True)
class Scope:
    """Pages [begins, ends) of each partition, whole and contiguous, and how many there are."""

    begins: Offsets
    ends: Offsets
    pages: int

    def parameters(self) -> dict[str, Any]:
        """As the queries take it."""
        partitions = sorted(self.ends)
        return {
            "partitions": partitions,
            "begins": [self.begins[p] for p in partitions],
            "ends": [self.ends[p] for p in partitions],
        }


class Store:
    """ClickHouse's answers; one thread at a time."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def rows(self, name: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The rows of ``queries/NAME.sql``."""
        statement = sql(name, "tokenmeter.ops.reconcile")
        for row in self.client.query(statement, parameters=parameters).named_results():
            yield dict(row)

    def frame(self, name: str, **parameters: Any) -> pl.DataFrame:
        """As ``rows``, in columns."""
        statement = sql(name, "tokenmeter.ops.reconcile")
        found = pl.from_arrow(self.client.query_arrow(statement, parameters=parameters))
        assert isinstance(found, pl.DataFrame)
        return found

    def last_watermarks(self) -> Offsets:
        """Up to where everything was set right by an earlier run."""
        return next((dict(row["watermarks"]) for row in self.rows("last_clean_run")), {})

    def applied(self) -> dict[str, tuple[Any, ...]]:
        """Ids of stored corrections of ours, and what they say: (customer, calls, tokens in and out, rating)."""
        names = ("customer_id", "calls", "input_tokens", "output_tokens", "rating")
        return {row["event_id"]: tuple(row[n] for n in names) for row in self.rows("applied", source=SOURCE)}

    def unprovable(self, scope: Scope, days: int) -> int:
        """Events that came so late that their first copy may have left the raw table."""
        return next((row["events"] for row in self.rows("unprovable", days=days, **scope.parameters())), 0)

    def page_ends(self, pages: Iterable[PageDifference]) -> list[tuple[PageDifference, int]]:
        """Each page with the offset after its last."""
        wanted = list(pages)
        found: dict[tuple[int, int], int] = {}
        for begin in range(0, len(wanted), PAGES_AT_ONCE):
            part = wanted[begin : begin + PAGES_AT_ONCE]
            asked = {"partitions": [p.partition for p in part], "firsts": [p.first_offset for p in part]}
            found |= {(r["partition"], r["first_offset"]): r["end"] for r in self.rows("page_ends", **asked)}
        return [(page, found[page.partition, page.first_offset]) for page in wanted]

    def differences(self, scope: Scope) -> list[PageDifference]:
        """Pages whose lines are not what the raw events of their offsets add up to."""
        found: dict[tuple[int, int], PageDifference] = {}
        ends = [*(end for end, _ in CONTEXT_BUCKETS), _NO_BUCKET_ABOVE]
        names = [*(name for _, name in CONTEXT_BUCKETS), CONTEXT_BUCKET_TOP]
        market = self.rows("market_difference", bucket_ends=ends, bucket_names=names, **scope.parameters())
        for row in self.rows("billing_difference", **scope.parameters()):
            page = _page(found, row)
            page.billing[_key(row, BILLING_USAGE_KEYS)] = {name: int(row[name]) for name in BILLING_MEASURES}
        for row in market:
            page = _page(found, row)
            page.market[_key(row, MARKET_USAGE_KEYS)] = {
                name: int(row[name]) for name in (*BILLING_MEASURES, *MARKET_ONLY)
            }
        return [found[place] for place in sorted(found)]


def _page(found: dict[tuple[int, int], PageDifference], row: Mapping[str, Any]) -> PageDifference:
    place = (row["partition"], row["first_offset"])
    return found.setdefault(place, PageDifference(*place))


def _key(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(_utc(row[name]) for name in names)


def _utc(value: Any) -> Any:
    """Times of a UTC column may come without their zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
