"""The figures a worker shows on /metrics, in Prometheus's terms."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tokenmeter.flow.page.engine import Closed

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry per worker, labelled by topic and partition where that tells something."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("topic", "partition")
        self.events = Counter("tokenmeter_events", "Records in committed pages", labels, registry=self.registry)
        self.pages = Counter("tokenmeter_pages", "Committed pages", labels, registry=self.registry)
        self.lost = Gauge(
            "tokenmeter_lost_offsets",
            "Offsets retention has ever removed unread; lasts, also over restarts",
            labels,
            registry=self.registry,
        )
        self.lag = Gauge("tokenmeter_lag", "Offsets appended but not committed", labels, registry=self.registry)
        self.remembered = Gauge(
            "tokenmeter_dedup_window_entries", "Identities in the dedup horizon", labels, registry=self.registry
        )
        self.commit_seconds = Histogram(
            "tokenmeter_commit_seconds", "From closing to committed", buckets=_SECONDS, registry=self.registry
        )
        self.page_age_seconds = Histogram(
            "tokenmeter_page_age_seconds",
            "From a page's first batch to its commit",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def closed(self, page: Closed) -> None:
        """Count a page that committed."""
        labels = (page.bounds.topic, str(page.bounds.partition))
        self.events.labels(*labels).inc(page.events)
        self.pages.labels(*labels).inc()
        self.lost.labels(*labels).set(page.bounds.lost_before + page.bounds.lost)
        self.commit_seconds.observe(page.commit_seconds)
        self.page_age_seconds.observe(page.age_seconds)
