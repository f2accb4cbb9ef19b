"""The meter: one partition of usage.events, a page at a time, into lines, quarantine and a chained page record.

Owns: dedup, totals and the page record; what a call costs it asks of ``tokenmeter.flow.rate``.
Promises: each usable event is on one line of each kind, once, at the price the page's catalog offset gives it.
Must never: talk to Kafka itself, keep an event beyond its batch, or let a bad value change its neighbours.
"""

from tokenmeter.flow.meter.meter import MeterProcessor
from tokenmeter.flow.meter.rules import QUARANTINE_RATIO_MAX, MeterRules

__all__ = ["QUARANTINE_RATIO_MAX", "MeterProcessor", "MeterRules"]
