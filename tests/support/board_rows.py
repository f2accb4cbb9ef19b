"""One market small enough to know by heart, in which every chart of every board has something to draw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client

from support.market_rows import calls, insert, lines, money

MODELS = [f"author{number % 11}/model-{number:02d}" for number in range(12)]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


LARGEST = 2**53 + 1
"""Beyond what a JavaScript number holds."""

BAND_BEGINS = NOW - timedelta(days=3)
"""Hours that no other page of here is in."""
BAND = {
    "measure": "calls",
    "topic": "usage.billing",
    "band_begins_at": BAND_BEGINS,
    "band_low": [0.5, 1.0],
    "band_expected": [2.0, 3.0],
    "band_high": [4.0, 5.0],
}
"""Of the alert "1", whose key made nine calls in the second minute of the first hour."""


def tokens_of(number: int, largest: int = LARGEST) -> int:
    """The n-th model's tokens."""
    return largest if number == 0 else 1_000 * (20 - number)


def fill(client: Client, largest: int = LARGEST) -> None:
    """Twelve models yesterday, ten calls each, all priced but one in euros and one not at all; 20 raw calls, two pages,
    three events in quarantine and a run of reconcile."""
    prices = {10: money("EUR", "5", "EUR", "4"), 11: {**money(None, None, None, None), "unpriced": 10}}
    speed = {"latency_calls": 10, "latency_sum_ms": 5_000, "generation_calls": 10, "generation_sum_ms": 10_000}
    lines(
        client,
        0,
        (
            {
                "model": model,
                "provider": f"p{number % 2}",
                "app_id": ["claw", "cline", None][number % 3],
                "occurred_hour": NOW - timedelta(days=1),
                "events": 10,
                "errors": number % 3,
                "rate_limited": number % 3 // 2,
                "streamed": 9,
                "input_tokens": tokens_of(number, largest) - 1,
                "output_tokens": 1,
                "tool_calls": 5,
                "generation_tokens": 500,
                **speed,
                **prices.get(number, money("USD", "2.50", "USD", "2.25")),
            }
            for number, model in enumerate(MODELS)
        ),
    )
    common = {"occurred_at": NOW - timedelta(hours=2), "appended_at": NOW, "error_class": None, "duration_ms": 100_000}
    common |= {"model": "a/b", "provider": "p0", "input_tokens": 100, "output_tokens": 10}
    ended = [{"status": 500 if n < 3 else 200, "latency_ms": 100 * (n + 1), "tool_calls": n % 2} for n in range(20)]
    calls(client, ({**common, **one, "event_id": f"e{n}", "offset": n} for n, one in enumerate(ended)))
    page = {"events_in": 12, "events": 10, "duplicates": 1, "quarantined": 1, "latest_occurred_at": NOW}
    insert(
        client, "usage_pages", [{**page, "first_offset": n, "closed_at": NOW + timedelta(seconds=n)} for n in (1, 2)]
    )
    insert(client, "quarantine", [{"offset": n, "reason": "late", "appended_at": NOW} for n in range(3)])
    told = {"account_id": "acme", "subject_kind": "key", "subject_id": "k", "kind": "spike", "severity": "WARNING"}
    told |= {"state": "OPEN", "broker_at": NOW, "since": NOW, "resolves": []}
    told |= {"sentence": "key k of acme: 9 calls in a minute"}
    over = {**told, "alert_id": "3", "kind": "resolved", "state": "RESOLVED", "resolves": ["2"]}
    insert(client, "alerts", [{**told, "alert_id": "2", "kind": "burn"}, over])
    insert(client, "alerts", [{**told, **BAND, "alert_id": "1"}])
    used = {"customer_id": "acme", "api_key_id": "k", "occurred_hour": BAND_BEGINS, "events": 9, "first_offset": 3}
    insert(client, "usage_pages", [{"first_offset": 3, "closed_at": BAND_BEGINS + timedelta(minutes=1, seconds=30)}])
    insert(client, "usage_billing", [{**used, "input_tokens": 900}, {**used, "line": 1, "api_key_id": "other"}])
    run = {"run_id": "r1", "finished_at": NOW, "applied": True, "corrections": 3}
    insert(client, "reconcile_runs", [{**run, "wrong_input_tokens": 5, "wrong_output_tokens": 2}])
    insert(client, "audit_runs", [{"finished_at": NOW, "ok": True, "pages": 2, "events": 20, "difference": ""}])
