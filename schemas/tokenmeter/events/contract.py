"""The schemas by name, version and id, and the topics they travel on.

Schema ids are fixed and bundled, so a producer and a meter agree without a registry. A new version of a record is a new
``name.vN.avsc`` file and a new id here; old ids stay readable for ever.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from fastavro import parse_schema

TOKEN_FIELDS: tuple[str, ...] = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "output_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
)
COUNT_FIELDS: tuple[str, ...] = (
    "images_in",
    "images_out",
    "video_seconds",
    "tool_calls",
    "tool_call_errors",
    "web_searches",
)
QUANTITY_FIELDS: tuple[str, ...] = TOKEN_FIELDS + COUNT_FIELDS
PART_OF: dict[str, str] = {
    "cached_input_tokens": "input_tokens",
    "cache_write_tokens": "input_tokens",
    "cache_write_1h_tokens": "input_tokens",
    "input_audio_tokens": "input_tokens",
    "input_image_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
    "output_audio_tokens": "output_tokens",
    "output_image_tokens": "output_tokens",
}
"""Token classes that are counted in a larger one, too."""
PRICED_FIELDS: tuple[str, ...] = (*TOKEN_FIELDS, "requests", "images_in", "images_out", "video_seconds", "web_searches")
"""What a price row has a unit price for, in the field NAME_price. ``requests`` are calls that did not fail."""

DAY_MS = 86_400_000
KEPT_FOR_EVER_MS = -1
EVENT_BYTES_MAX = 1_048_576
"""A value larger than this is refused by the emitter and by the topic."""


@dataclass(frozen=True)
class Schema:
    """One version of one record: ``parsed`` is fastavro's form of ``document``, the file's own JSON."""

    name: str
    version: int
    id: int
    document: dict[str, Any] = field(repr=False, compare=False)
    parsed: Any = field(repr=False, compare=False)

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(f["name"] for f in self.document["fields"])


_IDS: dict[tuple[str, int], int] = {
    ("usage_event", 1): 1,
    ("billing_line", 1): 2,
    ("market_line", 1): 3,
    ("page", 1): 4,
    ("quarantined_event", 1): 5,
    ("usage_event", 2): 6,
    ("page", 2): 7,
    ("usage_event", 3): 8,
    ("billing_line", 2): 9,
    ("market_line", 2): 10,
    ("page", 3): 11,
    ("resale_line", 1): 12,
    ("catalog_price", 1): 13,
    ("catalog_plan", 1): 14,
    ("catalog_account", 1): 15,
    ("catalog_budget", 1): 16,
    ("catalog_model", 1): 17,
    ("catalog_rate", 1): 18,
    ("ledger_entry", 1): 19,
    ("account_state", 1): 20,
    ("alert", 1): 21,
    ("watch_state", 1): 22,
    ("alert", 2): 23,
    ("watch_rows", 1): 24,
    ("catalog_key", 1): 25,
    ("alert", 3): 26,
    ("partition_growth", 1): 27,
}


SCHEMA_IDS_MAX = 999
"""Ids of tokenmeter's own, of this version or a later one, are 1 to this."""


def schema_from(text: str, name: str, version: int, schema_id: int) -> Schema:
    """One version from the JSON of its file."""
    return Schema(name, version, schema_id, json.loads(text), parse_schema(json.loads(text)))


@cache
def versions(name: str) -> tuple[Schema, ...]:
    """Every known version of ``name``, oldest first."""
    of_name = {version: schema_id for (schema_name, version), schema_id in _IDS.items() if schema_name == name}
    if not of_name:
        raise KeyError(f"no bundled schema is called {name!r}; there are {sorted({n for n, _ in _IDS})}")
    return tuple(schema_from(_text(name, version), name, version, of_name[version]) for version in sorted(of_name))


def _text(name: str, version: int) -> str:
    return (files(__package__) / f"{name}.v{version}.avsc").read_text("utf-8")


def latest(name: str) -> Schema:
    """The version new records are written with."""
    return versions(name)[-1]


SCHEMA_NAMES: tuple[str, ...] = tuple(sorted({name for name, _ in _IDS}))


@cache
def by_id(schema_id: int) -> Schema | None:
    """The known schema with this wire id, or None."""
    for name in SCHEMA_NAMES:
        for schema in versions(name):
            if schema.id == schema_id:
                return schema
    return None


STAMPED_BY_BROKER = "LogAppendTime"


@dataclass(frozen=True)
class Topic:
    """What a topic must look like; ``schemas`` are the records it may carry.

    ``like_events``: it has as many partitions as ``usage.events``, else one. ``retention_ms`` of None: kept for ever.
    ``by_time``: what its records mean depends on the broker's clock. The others are stamped by it as well, for records
    of one time are read without being taken apart, but a topic that was made otherwise will do.
    """

    name: str
    schemas: tuple[str, ...]
    key: str
    cleanup: str
    retention_ms: int | None
    like_events: bool = True
    by_time: bool = False
    segment_bytes: int | None = None

    def config(self) -> dict[str, str]:
        """The topic's settings, as Kafka spells them."""
        settings = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": STAMPED_BY_BROKER,
            "max.message.bytes": str(2 * EVENT_BYTES_MAX),
        }
        if self.cleanup == "delete":
            settings["retention.ms"] = str(KEPT_FOR_EVER_MS if self.retention_ms is None else self.retention_ms)
        if self.segment_bytes is not None:
            settings["segment.bytes"] = str(self.segment_bytes)
        return settings

    def needed(self) -> dict[str, str]:
        """The settings without which it does not serve."""
        return {k: v for k, v in self.config().items() if self.by_time or v != STAMPED_BY_BROKER}


EVENTS = "usage.events"
BILLING = "usage.billing"
MARKET = "usage.market"
PAGES = "usage.pages"
QUARANTINE = "usage.quarantine"
RESALE = "usage.resale"
CATALOG = "catalog"
LEDGER = "ledger.entries"
ACCOUNT_STATE = "account.state"
WATCH_STATE = "watch.state"
WATCH_STATE_MARKET = "watch.state.market"
ALERTS = "alerts"
GROWTH = "usage.growth"

RELEASED = "released"
"""The reason on usage.quarantine that ends a quarantine: the event at that position was sent to usage.events again."""

CATALOG_SCHEMAS: tuple[str, ...] = tuple(name for name in SCHEMA_NAMES if name.startswith("catalog_"))

TOPICS: tuple[Topic, ...] = (
    # The meter, the loader and an auditor judge an event's age by the same clock, the broker's.
    Topic(EVENTS, ("usage_event",), "customer_id", "delete", 7 * DAY_MS, by_time=True),
    Topic(BILLING, ("billing_line",), "customer_id", "delete", 90 * DAY_MS),
    Topic(MARKET, ("market_line",), "model", "delete", 90 * DAY_MS),
    Topic(RESALE, ("resale_line",), "account_id", "delete", 90 * DAY_MS),
    Topic(PAGES, ("page",), "partition", "delete", 365 * DAY_MS),
    Topic(QUARANTINE, ("quarantined_event",), "customer_id", "delete", 30 * DAY_MS),
    # By time too: what an hour or a month of the ledger is must not depend on who wrote the entry.
    Topic(LEDGER, ("ledger_entry",), "account_id", "delete", 90 * DAY_MS, by_time=True),
    Topic(ACCOUNT_STATE, ("account_state",), "account_id", "compact", None),
    # What is not in the last segment is compacted: each checkpoint replaces the one before it.
    Topic(WATCH_STATE, ("watch_state", "watch_rows"), "part", "compact", None, segment_bytes=64 << 20),
    Topic(WATCH_STATE_MARKET, ("watch_state", "watch_rows"), "part", "compact", None, segment_bytes=64 << 20),
    Topic(ALERTS, ("alert",), "account_id", "delete", 90 * DAY_MS),
    Topic(CATALOG, CATALOG_SCHEMAS, "row_id", "delete", None, like_events=False),
    Topic(GROWTH, ("partition_growth",), "topic", "delete", None, like_events=False),
)
