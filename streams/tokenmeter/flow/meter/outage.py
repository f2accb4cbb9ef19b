"""Whether what a page cannot use is an outage, which stops the meter, or somebody's fault, which is put aside. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from tokenmeter.flow.meter.routes import MISROUTED
from tokenmeter.flow.meter.rules import MeterRules

HIT_MIN = 3
"""Fewer customers, or fewer than two sources, are not everybody: one wrong clock must not stop the others' metering."""
SOURCES_HIT_MIN = 2


@dataclass
class Hit:
    """Whom the unusable events of a page belong to. One that cannot be read may be anybody's: each counts by itself."""

    events: int = 0
    unreadable: int = 0
    customers: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str, customer_id: str | None, source: str | None) -> None:
        """Count one unusable event; what is misrouted is whole, and ``quarantine retry`` sends it where it belongs."""
        if reason == MISROUTED:
            return
        self.events += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if customer_id is None:
            self.unreadable += 1
        else:
            self.customers.add(customer_id)
            self.sources.add(source or "")

    def is_outage(self, events_in: int, rules: MeterRules) -> bool:
        """Whether more than the allowed share of the page cannot be used, and not by the fault of one alone."""
        if events_in < rules.quarantine_ratio_min_events or self.events <= rules.quarantine_ratio_max * events_in:
            return False
        many_customers = len(self.customers) + self.unreadable >= HIT_MIN
        return many_customers and len(self.sources) + self.unreadable >= SOURCES_HIT_MIN

    def told(self) -> str:
        """For the operator."""
        worst = max(self.reasons, key=lambda reason: self.reasons[reason])
        whose = f"{len(self.customers)} customers and {len(self.sources)} sources"
        return f"mostly: {worst}; of {whose}" + (f", {self.unreadable} unreadable" if self.unreadable else "")
