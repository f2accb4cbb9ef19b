"""The calls' tab "Pipeline": how fresh the figures are, and what was kept out of them."""

from __future__ import annotations

from tokenmeter.boards import metrics as m
from tokenmeter.boards.forms import COUNT_FORMAT, over_time, rows, table, tile
from tokenmeter.boards.ranges import WEEK

_RECONCILE = ("pages", "wrong_lines", "wrong_calls", "wrong_tokens", "corrections", "outstanding_lines")
_AUDIT = ("pages", "events", "lost_offsets", "missing_events")
PIPELINE = (
    tile(
        "event-age",
        "Newest raw event",
        "Time since the broker took the newest event that is stored.",
        "pipeline",
        m.formula("max(event_age_ms)", "Age"),
        "DURATION",
    ),
    tile(
        "page-age",
        "Newest page",
        "Time since the newest stored page was closed.",
        "pipeline",
        m.formula("max(page_age_ms)", "Age"),
        "DURATION",
    ),
    tile(
        "reconcile-age",
        "Last reconciliation",
        "Time since tokenmeter reconcile last finished.",
        "pipeline",
        m.formula("max(reconcile_age_ms)", "Age"),
        "DURATION",
    ),
    tile(
        "audit-age",
        "Last audit",
        "Time since tokenmeter audit last finished.",
        "pipeline",
        m.formula("max(audit_age_ms)", "Age"),
        "DURATION",
    ),
    over_time(
        "pages",
        "Events metered per minute",
        "Events of the pages closed in each UTC minute, two days: metered, repeated, quarantined, lost before Kafka.",
        "pages",
        (
            m.total("events", "Metered"),
            m.total("duplicates", "Repeated"),
            m.total("quarantined", "Quarantined"),
            m.total("lost", "Lost"),
        ),
        "minute",
        kind="line",
        fill=("1min", "zerofill"),
    ),
    over_time(
        "lag",
        "Lag of the meters (ms)",
        "Age of the newest call of a page when the page closed: the largest of each UTC minute, two days.",
        "pages",
        (m.formula("max(lag_ms)", "Lag"),),
        "minute",
        kind="line",
        number_format=COUNT_FORMAT,
        fill=("1min", "asfreq"),
    ),
    table(
        "quarantine",
        "Quarantine",
        "Events that could not be used, by reason.",
        "quarantine",
        ("reason",),
        ((m.total("events", "Events"), COUNT_FORMAT),),
        time=("day", WEEK),
        width=4,
        height=32,
    ),
    rows(
        "reconcile",
        "Reconciliation",
        "The last 20 runs of tokenmeter reconcile: billing lines minus raw events, each counted once.",
        "reconcile",
        (("finished", None), ("mode", None), *((name, COUNT_FORMAT) for name in _RECONCILE)),
        ("finished", False),
        width=8,
    ),
    rows(
        "audit",
        "Audits",
        "The last 20 runs of tokenmeter audit: pages and events that agreed everywhere, what was lost, what differed.",
        "audit",
        (("finished", None), ("result", None), *((name, COUNT_FORMAT) for name in _AUDIT), ("difference", None)),
        ("finished", False),
    ),
)
