"""What a line is: the keys that billing and market totals are grouped by, and how a page's lines are chained.

The meter groups by these keys in columns and the audit in plain dicts; both order the lines of a page by their key,
nulls first, so the same page always has the same lines in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

BILLING_USAGE_KEYS: tuple[str, ...] = (
    "customer_id",
    "project_id",
    "api_key_id",
    "model",
    "variant",
    "service_tier",
    "provider",
    "occurred_hour",
)
RATING_KEYS: tuple[str, ...] = ("price_id", "cost_price_id", "plan_id", "chain")
BILLING_KEYS: tuple[str, ...] = (*BILLING_USAGE_KEYS, *RATING_KEYS)
"""What was used, and what it was charged by."""
MARKET_USAGE_KEYS: tuple[str, ...] = (
    "model",
    "provider",
    "app_id",
    "variant",
    "operation",
    "country",
    "context_bucket",
    "occurred_hour",
)

MARKET_KEYS: tuple[str, ...] = (*MARKET_USAGE_KEYS, "currency", "cost_currency")
RESALE_KEYS: tuple[str, ...] = (
    "account_id",
    "seller_id",
    "level",
    "customer_id",
    "model",
    "variant",
    "service_tier",
    "provider",
    "occurred_hour",
    "price_id",
)

CONTEXT_BUCKETS: tuple[tuple[int, str], ...] = (
    (1_000, "<1k"),
    (10_000, "1k-10k"),
    (100_000, "10k-100k"),
    (1_000_000, "100k-1m"),
)
"""(input tokens below which the bucket ends, its name), smallest first; anything larger is CONTEXT_BUCKET_TOP."""
CONTEXT_BUCKET_TOP = ">=1m"
CONTEXT_BUCKET_NAMES: tuple[str, ...] = (*(name for _, name in CONTEXT_BUCKETS), CONTEXT_BUCKET_TOP)

ERROR_STATUS_MIN = 400
RATE_LIMITED_STATUS = 429
HOUR_US = 3_600_000_000

FIRST_DIGEST = bytes(32)
"""``previous_digest`` of the first page of a partition."""


def page_digest(previous: bytes, page_value: bytes, *lines: Iterable[bytes]) -> bytes:
    """SHA-256 that chains a page to the one before.

    ``page_value`` is what ``without_digest`` gives of the page; ``lines`` are wire values in line order: those of
    usage.billing, then of usage.market, then of usage.resale.
    """
    digest = hashlib.sha256(previous)
    digest.update(page_value)
    for values in lines:
        for value in values:
            digest.update(value)
    return digest.digest()


def without_digest(page_value: bytes) -> bytes:
    """A page's wire value with an empty ``digest``: the last field of every version, 32 bytes after their length."""
    return page_value[: -1 - len(FIRST_DIGEST)] + b"\x00"
