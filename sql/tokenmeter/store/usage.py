"""What a customer used: asked of the totals, exact to the hour, with the time up to which the answer is complete.

Whole days come from ``billing_daily``. A day comes from the lines themselves when the period begins or ends inside it,
when its totals are still due, or when lines of it have only just arrived, so the answer is what the lines say whenever
it is asked. Lines know the hour of their calls and no more, so a period begins and ends with an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client

from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Misconfigured
from tokenmeter.store.statement import sql
from tokenmeter.store.totals import SOURCES, Totals
from tokenmeter.store.usage_loaded import PagesRead, loaded
from tokenmeter.store.usage_period import hour_of

BY: tuple[str, ...] = ("day", "project", "key", "model")
"""What usage may be told apart by, in the order in which rows are sorted."""
COUNTS: tuple[str, ...] = ("calls", "errors", "unpriced", "provisional", *QUANTITY_FIELDS)
"""Whole numbers of every row; unpriced and provisional count calls."""
LINES_DAYS = SOURCES["usage_billing"].kept_days
"""Lines that are older may be gone: of what is older, only whole days can be told."""
_OF = "usage_billing"
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Question:
    """Usage of ``customer_id`` whose calls ended in [since, until), both full hours, told apart by some of ``BY``.

    Raises Misconfigured when it cannot be answered to the call.
    """

    customer_id: str
    since: datetime
    until: datetime
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, time in (("since", self.since), ("until", self.until)):
            if time.tzinfo is None or time != hour_of(time):
                raise Misconfigured(
                    f"{name} {time:%Y-%m-%dT%H:%M:%S} is inside an hour, and usage is kept by the hour",
                    hint=f"ask with {hour_of(time):%Y-%m-%dT%H:%M} or {hour_of(time) + _HOUR:%Y-%m-%dT%H:%M}, UTC",
                )
        if self.since >= self.until:
            raise Misconfigured("the period has no hour: since is not before until", hint="tokenmeter usage --help")
        if unknown := sorted({*self.by} - {*BY}):
            raise Misconfigured(f"usage is not told apart by {', '.join(unknown)}", hint=f"by: {', '.join(BY)}")


@dataclass(frozen=True)
class Usage:
    """The answer. Each row has the names asked ``by``, then COUNTS, then ``charges``: Decimal by currency.

    ``complete_until``: all that was metered (its page committed) before it is in the rows; None: that cannot be said.
    """

    question: Question
    rows: list[dict[str, Any]]
    complete_until: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON tells it: times in UTC, amounts as text, which no reader rounds."""
        asked = self.question
        return {
            "customer_id": asked.customer_id,
            "since": _zulu(asked.since),
            "until": _zulu(asked.until),
            "complete_until": self.complete_until and _zulu(self.complete_until),
            "by": list(asked.by),
            "rows": [_plain(row) for row in self.rows],
            "total": _plain(totalled(self.rows)),
        }


def usage(client: Client, question: Question, now: datetime, pages_read: PagesRead | None = None) -> Usage:
    """Ask. ``pages_read``: see usage_loaded.

    Raises Misconfigured when the period begins or ends inside a day whose lines may be gone.
    """
    # In this order: what is loaded after the look at the pages may be in the rows, but is not said to be.
    known = loaded(client, now, pages_read)
    due = {datetime.fromtimestamp(bucket, UTC).date() for source, bucket in Totals(client).pending() if source == _OF}
    cut = cut_days(question.since, question.until)
    if gone := sorted(day for day in cut if day <= (now - timedelta(days=LINES_DAYS)).date()):
        raise Misconfigured(
            f"the period begins or ends inside {gone[0]}, whose hours are kept {LINES_DAYS} days only",
            hint="ask with whole UTC days",
        )
    asked = {
        "customer_id": question.customer_id,
        "since": _text(question.since),
        "last": _text(question.until - _HOUR),
        "line_days": sorted(cut | due | known.recent_days),
        **{f"by_{name}": name in question.by for name in BY},
    }
    rows = [dict(_row(one, question.by)) for one in client.query(sql("usage_of_customer"), asked).named_results()]
    return Usage(question, rows, known.complete_until)


def cut_days(since: datetime, until: datetime) -> set[date]:
    """The days of which a period has some hours and not others."""
    return {time.date() for time in (since, until) if time != time.replace(hour=0)}


def totalled(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All rows as one, without names."""
    charges: dict[str, Decimal] = {}
    for row in rows:
        for currency, amount in row["charges"].items():
            charges[currency] = charges.get(currency, Decimal(0)) + amount
    return {**{name: sum(row[name] for row in rows) for name in COUNTS}, "charges": charges}


def _row(found: Mapping[str, Any], by: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in BY:
        if name in by:
            yield name, found[f"asked_{name}"]
    for name in COUNTS:
        yield name, int(found[name])
    yield "charges", dict(sorted(found["charges"]))


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _zulu(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    charges = {currency: f"{amount:f}" for currency, amount in row["charges"].items()}
    day = {"day": row["day"].isoformat()} if row.get("day") else {}
    return {**row, **day, "charges": charges}
