"""Whose events are put aside: an alert a customer, or a source of several customers, and broker's hour.

The meter goes on for everybody else, so somebody must be told that this one's calls are not billed. Pure. What it has
counted is forgotten by a restart; a fact that is told twice has the same id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tokenmeter.events.contract import EVENTS
from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.ledger.alert import alert_id, time_of
from tokenmeter.flow.meter.outage import HIT_MIN

BLAMED_EVENTS = 10
"""Fewer of one reason within an hour are told by the quarantine alone."""
BLAMED_MAX = 10_000
"""Whose events are counted at once; of further ones the quarantine tells alone."""
HOUR_MS = 3_600_000
CUSTOMER, SOURCE = "customer", "source"

_Whose = tuple[str, str, str]
"""(CUSTOMER or SOURCE, its id, reason)"""


@dataclass
class _Count:
    first_offset: int
    since_ms: int
    events: int = 0
    last_offset: int = 0
    last_ms: int = 0
    others: set[str] = field(default_factory=set)
    """Of a customer its sources, of a source its customers: the first HIT_MIN of them."""
    told: bool = False


class Blame:
    """Of one partition of usage.events."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._hour = 0
        self._counts: dict[_Whose, _Count] = {}
        self._due: dict[_Whose, _Count] = {}

    def add(self, reason: str, customer_id: str | None, source: str | None, offset: int, at_ms: int) -> None:
        """Count an event that is put aside; one that cannot be read is nobody's."""
        if customer_id is None:
            return
        if at_ms // HOUR_MS > self._hour:
            self._hour = at_ms // HOUR_MS
            self._counts.clear()
        self._count((CUSTOMER, customer_id, reason), source or "", offset, at_ms)
        if source:
            self._count((SOURCE, source, reason), customer_id, offset, at_ms)

    def _count(self, whose: _Whose, other: str, offset: int, at_ms: int) -> None:
        count = self._counts.get(whose)
        if count is None:
            if len(self._counts) >= BLAMED_MAX:
                return
            count = self._counts[whose] = _Count(offset, at_ms)
        count.events, count.last_offset, count.last_ms = count.events + 1, offset, at_ms
        if len(count.others) < HIT_MIN:
            count.others.add(other)
        enough = count.events >= BLAMED_EVENTS and (whose[0] == CUSTOMER or len(count.others) >= HIT_MIN)
        if enough and not count.told:
            count.told = True
            self._due[whose] = count

    def take(self) -> list[Alert]:
        """What has become due since it was taken last."""
        due, self._due = self._due, {}
        return [self._alert(whose, count) for whose, count in due.items()]

    def _alert(self, whose: _Whose, count: _Count) -> Alert:
        kind, name, reason = whose
        account_id = name if kind == CUSTOMER else ""
        others = ", ".join(sorted(filter(None, count.others)))
        from_ = f", of source {others}" if kind == CUSTOMER and others else ""
        of = f", of customers {others} and maybe others" if kind == SOURCE else ""
        return Alert(
            alert_id=alert_id(account_id, f"quarantine/{kind}/{name}/{reason}", f"{self._partition}/{self._hour}"),
            account_id=account_id,
            subject_kind=kind,
            subject_id=name,
            kind="quarantine",
            state=AlertState.NOTICE,
            severity=AlertSeverity.WARNING,
            seen=Decimal(count.events),
            measure="events",
            topic=EVENTS,
            partition=self._partition,
            first_offset=count.first_offset,
            last_offset=count.last_offset,
            broker_at=time_of(count.last_ms),
            since=time_of(count.since_ms),
            sentence=(
                f"{kind} {name}: {count.events} events or more within the hour cannot be used ({reason}){from_}{of}; "
                f"they are put aside and not billed (next: tokenmeter quarantine list --reason {reason})"
            ),
        )
