"""The boards' definitions on rows small enough to add up by hand, on the real ClickHouse engine.

A definition that could be read two ways has its mutant beside it, which the same rows tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from support.clickhouse import Server, migrated
from support.market_rows import calls, insert, lines, money
from tokenmeter.audit.noted import note
from tokenmeter.audit.report import AuditReport, Lost
from tokenmeter.boards import metrics
from tokenmeter.store.client import connect
from tokenmeter.store.totals import TOTALS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with migrated(tmp_path_factory.mktemp("views")) as server:
        yield server


TABLES = ("usage_market", "usage_billing", "usage_events", "usage_pages", "quarantine", "reconcile_runs", "alerts")


@pytest.fixture
def client(server: Server) -> Client:
    """Writes; every test begins with empty tables. Rows of long ago would be past their keeping."""
    client = connect(server.url, "writer", "secret")
    for table in (*TABLES, *TOTALS):
        if " TTL " in str(client.command(f"SHOW CREATE TABLE tokenmeter.{table}")).replace("\\n", " "):
            client.command(f"ALTER TABLE tokenmeter.{table} REMOVE TTL")
        client.command(f"TRUNCATE TABLE tokenmeter.{table}")
    return client


def ask(client: Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql).result_rows]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(value: datetime) -> str:
    return f"{value:%Y-%m-%d}"


def test_a_model_has_an_author_however_it_is_named(client: Client) -> None:
    asked = [
        ("openai/gpt-4o", "openrouter"),
        ("gpt-4o", "azure"),
        ("qwen/qwen-99", "openrouter"),
        ("house/llm", "vllm"),
        ("llm", "vllm"),
    ]
    lines(client, 0, [{"model": m, "provider": p, "occurred_hour": at("2026-03-02T05:00")} for m, p in asked])
    found = {row[0]: row[1:] for row in ask(client, "SELECT model, author, origin, weights FROM boards.models")}
    assert found == {
        "openai/gpt-4o": ("openai", "US", "closed"),
        "gpt-4o": ("openai", "US", "closed"),  # its slug alone is one author's
        "qwen/qwen-99": ("qwen", "China", "unknown"),
        "house/llm": ("house", "Unknown", "unknown"),
        "llm": ("llm", "Unknown", "unknown"),  # nothing is known: it stands for itself
    }


def test_a_row_of_facts_with_a_greater_revision_replaces_the_bundled_one(client: Client) -> None:
    lines(client, 0, [{"model": "lab/new", "occurred_hour": at("2026-03-02T05:00")}])
    facts = {"name": "lab/new", "author": "lab", "author_country": "FR", "open_weights": True, "revision": 2}
    insert(client, "model_facts", [facts, {**facts, "author_country": "CN", "revision": 1}])
    assert ask(client, "SELECT author, origin, weights FROM boards.models") == [("lab", "Others", "open")]


def test_days_are_utc_and_weeks_begin_on_monday(client: Client) -> None:
    hours = ["2026-03-01T23:00", "2026-03-02T00:00", "2026-03-08T23:00", "2026-03-09T00:00", "2026-01-01T12:00"]
    lines(client, 0, [{"input_tokens": 10**n, "occurred_hour": at(hour)} for n, hour in enumerate(hours)])
    by_day = {day(d): tokens for d, tokens in ask(client, "SELECT day, sum(tokens) FROM boards.models GROUP BY day")}
    assert by_day == {"2026-03-01": 1, "2026-03-02": 10, "2026-03-08": 100, "2026-03-09": 1000, "2026-01-01": 10000}
    weeks = "SELECT {} AS w, sum(tokens) FROM boards.models GROUP BY w"
    found = {day(week): tokens for week, tokens in ask(client, weeks.format("week"))}
    assert found == {"2026-02-23": 1, "2026-03-02": 110, "2026-03-09": 1000, "2025-12-29": 10000}
    sundays = {day(week): tokens for week, tokens in ask(client, weeks.format("toStartOfWeek(day)"))}
    assert sundays != found, "the control: weeks that begin on Sunday are other sums"


def test_a_page_loaded_twice_counts_once_and_ranking_tokens_are_input_plus_output(client: Client) -> None:
    row = {"occurred_hour": at("2026-03-02T05:00"), "input_tokens": 2**53, "output_tokens": 1, "reasoning_tokens": 1}
    lines(client, 7, [row])
    lines(client, 7, [row])
    assert ask(client, "SELECT sum(tokens), sum(calls) FROM boards.models") == [(2**53 + 1, 1)]
    assert ask(client, "SELECT sum(tokens) FROM boards.rankings") == [(2**53 + 1,)]


def test_rankings_hold_fifty_models_and_one_row_other_last(client: Client) -> None:
    noon = at("2026-03-02T12:00")
    rows = [{"model": f"a/m{n:02d}", "input_tokens": 100, "occurred_hour": noon} for n in range(52)]
    rows += [{"model": "z/big", "input_tokens": 700, "occurred_hour": noon}]
    rows += [{"model": "z/big", "variant": "free", "input_tokens": 900, "occurred_hour": noon}]
    rows += [{"model": "z/big", "input_tokens": 1, "occurred_hour": noon + timedelta(days=1)}]
    lines(client, 0, rows)
    found = ask(client, "SELECT rank, model, tokens, share FROM boards.rankings WHERE day = '2026-03-02' ORDER BY rank")
    assert [row[:3] for row in found[:3]] == [(1, "z/big:free", 900), (2, "z/big", 700), (3, "a/m00", 100)]
    assert [row[1] for row in found[2:50]] == [f"a/m{n:02d}" for n in range(48)], "ties are alphabetical"
    assert found[50][:3] == (51, "other", 400)
    assert found[0][3] == pytest.approx(900 / 6800), "shares are of all tokens, other's too"
    assert sum(row[3] for row in found) == pytest.approx(1)
    assert ask(client, "SELECT rank, model, share FROM boards.rankings WHERE day = '2026-03-03'") == [(1, "z/big", 1.0)]


def test_a_ranking_of_equals_is_alphabetical_and_leaves_out_who_used_nothing(client: Client) -> None:
    """S03: 51 equal models, and one without a token; `other` is last however large, and absent without a 51st."""
    noon = at("2026-03-02T12:00")
    rows = [{"model": f"a/m{n:02d}", "input_tokens": 7, "occurred_hour": noon} for n in range(51)]
    lines(client, 0, [*rows, {"model": "a/none", "input_tokens": 0, "occurred_hour": noon}])
    sql = "SELECT rank, model, tokens FROM boards.rankings WHERE day = '{}' ORDER BY rank"
    found = ask(client, sql.format("2026-03-02"))
    assert found == [*((n + 1, f"a/m{n:02d}", 7) for n in range(50)), (51, "other", 7)]
    large = [{"model": f"b/m{n:03d}", "input_tokens": 9, "occurred_hour": noon + timedelta(days=1)} for n in range(150)]
    lines(client, 100, [*large, *({**row, "occurred_hour": noon + timedelta(days=2)} for row in rows[:50])])
    assert ask(client, sql.format("2026-03-03"))[-1] == (51, "other", 900), "last, though the largest by far"
    assert [model for _, model, _ in ask(client, sql.format("2026-03-04"))] == [f"a/m{n:02d}" for n in range(50)]


def test_shares_of_the_fifty_shown_are_of_all_tokens(client: Client) -> None:
    """S02: of sixty models."""
    noon = at("2026-03-02T12:00")
    lines(client, 0, [{"model": f"a/m{n:02d}", "input_tokens": 60 - n, "occurred_hour": noon} for n in range(60)])
    shares = [row[0] for row in ask(client, "SELECT share FROM boards.rankings ORDER BY rank")]
    assert shares[0] == pytest.approx(60 / 1830) and len(shares) == 51
    assert sum(shares[:50]) == pytest.approx((1830 - 55) / 1830), "the control: of those shown it would be 1"


def within_an_hour(client: Client, check: Callable[[datetime], None]) -> None:
    """Run ``check`` with the current hour; again when the hour changed meanwhile, since windows end with it."""
    for _ in range(2):
        before = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        try:
            check(before)
            return
        except AssertionError:
            if datetime.now(UTC).replace(minute=0, second=0, microsecond=0) == before:
                raise
            for table in ("usage_market", *TOTALS):
                client.command(f"TRUNCATE TABLE tokenmeter.{table}")


def test_windows_end_with_the_current_hour_and_begin_where_the_window_before_ends(client: Client) -> None:
    ages = [0, 23, 24, 47, 48, 167, 168, 335, 336, 671, 672, 719, 720, 1439, 1440]

    def check(now: datetime) -> None:
        lines(
            client, 0, [{"input_tokens": 2**n, "occurred_hour": now - timedelta(hours=a)} for n, a in enumerate(ages)]
        )
        found = client.query("SELECT * FROM boards.recent_models").first_item

        def sum_of(first: int, last: int) -> int:
            return sum(2**n for n, age in enumerate(ages) if first <= age <= last)

        assert {name: found[name] for name in found if name.startswith("tokens_")} == {
            "tokens_day": sum_of(0, 23),
            "tokens_day_before": sum_of(24, 47),
            "tokens_week": sum_of(0, 167),
            "tokens_week_before": sum_of(168, 335),
            "tokens_three_weeks_before": sum_of(168, 671),
            "tokens_month": sum_of(0, 719),
            "tokens_month_before": sum_of(720, 1439),
        }

    within_an_hour(client, check)


def test_trending_is_the_week_minus_the_mean_of_the_three_before(client: Client) -> None:
    def check(now: datetime) -> None:
        weeks = {"rising": (900, 300, 300, 0), "steady": (300, 300, 300, 300), "falling": (100, 900, 0, 0)}
        rows = [
            {"app_id": app, "input_tokens": tokens, "occurred_hour": now - timedelta(days=7 * week + 1)}
            for app, each in weeks.items()
            for week, tokens in enumerate(each)
        ]
        lines(client, 0, rows)
        sql = f"SELECT app, {metrics.TRENDING_SQL} AS above FROM boards.recent_apps GROUP BY app"
        assert dict(ask(client, sql)) == {"rising": 700, "steady": 0, "falling": -200}
        assert ask(client, f"SELECT app FROM ({sql}) WHERE above > 0") == [("rising",)]
        lines(client, 100, [{"app_id": "today", "input_tokens": 5, "occurred_hour": now}])
        assert ask(client, "SELECT sum(tokens_week) FROM boards.recent_apps") == [(1300,)], "full days alone"

    within_an_hour(client, check)


def test_uptime_leaves_out_429_and_is_null_when_calls_are_too_few(client: Client) -> None:
    hour = at("2026-03-02T05:00")
    lines(
        client,
        0,
        [
            {"provider": "p", "events": 30, "errors": 15, "rate_limited": 10, "occurred_hour": hour},
            {"provider": "few", "events": 19, "errors": 1, "occurred_hour": hour},
            {"provider": "enough", "events": 20, "errors": 1, "occurred_hour": hour},
            {"provider": "limited", "events": 25, "errors": 25, "rate_limited": 25, "occurred_hour": hour},
        ],
    )
    uptime = metrics.UPTIME["sqlExpression"]
    found = dict(ask(client, f"SELECT provider, {uptime} FROM boards.hours GROUP BY provider"))
    assert found == {"p": 0.75, "few": None, "enough": 0.95, "limited": None}
    with_429 = dict(ask(client, "SELECT provider, 1 - sum(errors) / sum(calls) FROM boards.hours GROUP BY provider"))
    assert with_429["p"] == 0.5, "the control: with 429 it would be another figure"


def test_cache_hit_and_speed_are_ratios_of_sums(client: Client) -> None:
    hour = at("2026-03-02T05:00")
    timing = {"latency_calls": 2, "latency_sum_ms": 500, "generation_calls": 1}
    rows = [
        {"input_tokens": 900, "cached_input_tokens": 90, "generation_tokens": 100, "generation_sum_ms": 1000, **timing},
        {"input_tokens": 100, "cached_input_tokens": 100, "generation_tokens": 20, "generation_sum_ms": 5000},
    ]
    lines(client, 0, [{**row, "occurred_hour": hour} for row in rows])
    asked = ", ".join(m["sqlExpression"] for m in (metrics.CACHE_HIT, metrics.THROUGHPUT, metrics.LATENCY_MEAN))
    assert ask(client, f"SELECT {asked} FROM boards.hours") == [(0.19, 20.0, 250.0)]


def test_money_is_kept_per_currency_and_margin_needs_both_in_one(client: Client) -> None:
    hour = at("2026-03-02T05:00")
    rows = [
        {"input_tokens": 1_000_000, "events": 3, **money("USD", "0.30", "USD", "0.20")},
        {"input_tokens": 1_000_000, "events": 1, **money("USD", "0.10", "EUR", "0.05")},
        {"input_tokens": 1_000_000, "events": 2, **money("EUR", "7.000000000001", "EUR", "7")},
        {"input_tokens": 1_000_000, "events": 5, "unpriced": 5, "uncosted": 0, **money(None, None, "USD", "9")},
        {"input_tokens": 1_000_000, "events": 1, "uncosted": 1, **money("USD", "0.40", None, None)},
    ]
    lines(client, 0, [{**row, "occurred_hour": hour} for row in rows])
    sql = "SELECT currency, sum(charge), sum(margin_charge), sum(margin_cost), sum(margin), sum(calls), max(is_main)"
    found = {row[0]: row[1:] for row in ask(client, f"{sql} FROM boards.money GROUP BY currency")}
    assert found == {
        "USD": (Decimal("0.8"), Decimal("0.3"), Decimal("0.2"), Decimal("0.1"), 5, 1),
        "EUR": (Decimal("7.000000000001"), Decimal("7.000000000001"), 7, Decimal("0.000000000001"), 2, 0),
    }
    price = metrics.PRICE_PER_MILLION["sqlExpression"]
    prices = dict(ask(client, f"SELECT currency, {price} FROM boards.money GROUP BY currency"))
    assert float(prices["USD"]) == pytest.approx(0.8 / 3), "unpriced tokens are in no price"
    assert ask(client, "SELECT sum(unpriced), sum(uncosted), sum(calls) FROM boards.models") == [(5, 1, 12)]


def test_an_apps_share_is_of_all_tokens_of_the_week(client: Client) -> None:
    rows = [("claw", "2026-03-02T00:00", 25), ("claw", "2026-03-08T23:00", 5), ("other", "2026-03-04T00:00", 20)]
    rows += [(None, "2026-03-04T00:00", 50), ("claw", "2026-03-09T00:00", 1)]
    lines(client, 0, [{"app_id": a, "occurred_hour": at(h), "input_tokens": n} for a, h, n in rows])
    found = ask(client, "SELECT week, app, tokens, share FROM boards.app_shares ORDER BY week, app")
    assert [(day(w), *rest) for w, *rest in found] == [
        ("2026-03-02", "claw", 30, 0.3),
        ("2026-03-02", "no app", 50, 0.5),
        ("2026-03-02", "other", 20, 0.2),
        ("2026-03-09", "claw", 1, 1.0),
    ]


def test_contexts_and_operations_keep_the_meters_buckets(client: Client) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    rows: list[dict[str, Any]] = [
        {"context_bucket": "<1k", "events": 2},
        {"context_bucket": ">=1m", "operation": "IMAGE"},
    ]
    lines(client, 0, [{**row, "occurred_hour": hour} for row in rows])
    found = ask(client, "SELECT context, operation, calls FROM boards.contexts ORDER BY calls")
    assert found == [(">=1m tokens", "image", 1), ("<1k tokens", "chat", 2)]


def rank(values: list[int], percent: int) -> int:
    """The percentile by nearest rank: the smallest value that so many percent of all are not above."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def test_percentiles_are_of_single_calls_without_corrections(client: Client) -> None:
    now = datetime.now(UTC)
    common = {"occurred_at": now - timedelta(hours=1), "appended_at": now}
    rows: list[dict[str, Any]] = [
        {"event_id": f"e{n}", "latency_ms": n, "duration_ms": n + 2000, "output_tokens": 4 * n} for n in range(1, 102)
    ]
    rows += [{"event_id": "none", "latency_ms": None, "duration_ms": None, "output_tokens": 9}]
    rows += [{"event_id": "instant", "latency_ms": 5, "duration_ms": 5, "output_tokens": 9}]
    rows += [{"event_id": "instant again", "latency_ms": 60, "duration_ms": 60, "output_tokens": 9}]
    rows += [{"event_id": "fix", "kind": "CORRECTION", "latency_ms": 9999, "duration_ms": 99999, "output_tokens": -9}]
    calls(client, [{**common, "offset": n, **row} for n, row in enumerate(rows)])
    asked = [metrics.percentile("latency", percent, "x")["sqlExpression"] for percent in (50, 90, 99)]
    asked += [metrics.percentile("throughput", 50, "x")["sqlExpression"]]
    asked += [metrics.percentile("output", 50, "x")["sqlExpression"]]
    found = ask(client, f"SELECT sum(calls), {', '.join(asked)} FROM boards.calls_by_hour")
    assert found[0][0] == 104, "a correction is no call"
    latency = [row["latency_ms"] for row in rows if row["latency_ms"] is not None and "kind" not in row]
    output = [row["output_tokens"] for row in rows if "kind" not in row]
    exact = [rank(latency, 50), rank(latency, 90), rank(latency, 99), 102.0, rank(output, 50)]
    assert found[0][1:] == pytest.approx(exact, rel=0.004)
    assert rank(latency, 50) != rank(latency[:-9], 50), "the control: nine calls fewer have another median"
    nobody = ask(client, f"SELECT {asked[0]} FROM boards.calls_by_hour WHERE model = 'nobody'")
    assert nobody == [(None,)], "without a call there is none, not 0"


def test_a_call_within_the_last_second_of_a_minute_is_counted(client: Client) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    call = {"event_id": "e", "offset": 0, "occurred_at": minute + timedelta(seconds=59.5), "appended_at": minute}
    calls(client, [call])
    assert ask(client, "SELECT sum(calls) FROM boards.calls_by_hour") == [(1,)]


def test_calls_per_minute_tell_errors_and_429_apart(client: Client) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    offsets = [timedelta(0), timedelta(seconds=59, microseconds=999_999), timedelta(minutes=1), timedelta(minutes=1)]
    statuses = [429, 500, 200, 200]
    rows = [
        {"event_id": f"e{n}", "offset": n, "occurred_at": minute + offset, "appended_at": minute, "status": status}
        for n, (offset, status) in enumerate(zip(offsets, statuses, strict=True))
    ]
    rows[3]["error_class"] = "timeout"
    for row in rows[:3]:
        row["error_class"] = None
    calls(client, rows)
    sql = "SELECT calls, errors, rate_limited, author FROM boards.calls_by_minute ORDER BY minute"
    assert ask(client, sql) == [(2, 2, 1, "openai"), (2, 1, 0, "openai")]


def test_the_pipeline_says_how_old_its_newest_things_are_and_null_without_any(client: Client) -> None:
    assert ask(client, "SELECT * FROM boards.pipeline") == [(None, None, None, None)]
    now = datetime.now(UTC)
    insert(client, "usage_events", [{"event_id": "e", "occurred_at": now, "appended_at": now - timedelta(minutes=2)}])
    page = {"closed_at": now - timedelta(minutes=1), "latest_occurred_at": now - timedelta(minutes=1, seconds=3)}
    insert(client, "usage_pages", [{**page, "events_in": 5, "events": 3, "duplicates": 1, "quarantined": 1}])
    report = AuditReport(pages=3, events=9, lost=[Lost("0/5", 4)])
    note(client, report, now - timedelta(minutes=5))
    event, closed, reconcile, audited = ask(client, "SELECT * FROM boards.pipeline")[0]
    assert 300_000 <= audited < 360_000
    figures = "result, pages, events, lost_offsets, missing_events, difference"
    assert ask(client, f"SELECT {figures} FROM boards.audit") == [("lost before metered", 3, 9, 4, 0, "")]
    assert 120_000 <= event < 180_000
    assert 60_000 <= closed < event
    assert reconcile is None
    sql = "SELECT pages, events_in, events, duplicates, quarantined, lost, lag_ms FROM boards.pages"
    assert ask(client, sql) == [(1, 5, 3, 1, 1, 0, 3000)]


def test_quarantine_is_counted_by_reason_and_day(client: Client) -> None:
    rows = [(1, "late", "2026-03-02T23:59:59"), (2, "late", "2026-03-03T00:00"), (3, "malformed", "2026-03-03T09:00")]
    insert(client, "quarantine", [{"offset": n, "reason": reason, "appended_at": at(t)} for n, reason, t in rows])
    found = ask(client, "SELECT day, reason, events FROM boards.quarantine ORDER BY day, reason")
    assert [(day(d), reason, n) for d, reason, n in found] == [
        ("2026-03-02", "late", 1),
        ("2026-03-03", "late", 1),
        ("2026-03-03", "malformed", 1),
    ]


def anomaly(alert: str, told: datetime, measure: str, subject: tuple[str, str, str], topic: str) -> dict[str, Any]:
    """An open alert whose band begins an hour before its own: 1, 2 and 4 in the first, ten times that in the second."""
    kind, account, name = subject
    band = {"band_low": [1.0, 10.0], "band_expected": [2.0, 20.0], "band_high": [4.0, 40.0]}
    whom = {"account_id": account, "subject_kind": kind, "subject_id": name, "measure": measure, "topic": topic}
    begins = told.replace(minute=0) - timedelta(hours=1)
    fixed = {"kind": "spike", "state": "OPEN", "severity": "WARNING", "resolves": [], "sentence": ""}
    return {**fixed, **whom, **band, "alert_id": alert, "broker_at": told, "since": told, "band_begins_at": begins}


def test_each_anomaly_has_its_subjects_minutes_beside_its_band(client: Client) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    told = now - timedelta(hours=3)
    begins, model = told - timedelta(hours=1), ("model_provider", "", "m at p")
    told_of = [
        ("tokens", ("customer", "acme", "acme"), "usage.billing"),
        ("price_mismatch", ("key", "acme", "k"), "usage.billing"),
        *((measure, model, "usage.market") for measure in ("errors", "rate_limited", "first_token_ms", "loss")),
    ]
    alerts = [anomaly(f"{n}", told + timedelta(minutes=n), *one) for n, one in enumerate(told_of)]
    over = {"alert_id": "r", "account_id": "acme", "state": "RESOLVED", "resolves": ["0"], "broker_at": now}
    insert(client, "alerts", [*alerts])
    insert(client, "alerts", [{**over, "subject_kind": "key", "kind": "resolved", "severity": "INFO", "sentence": ""}])
    insert(client, "usage_pages", [{"first_offset": n, "closed_at": begins + timedelta(minutes=n)} for n in (5, 70)])
    used = {"customer_id": "acme", "model": "m", "occurred_hour": begins, "events": 2, "input_tokens": 90}
    money_of = {"currency": "USD", "cost_currency": "USD", "charge": Decimal(9)}
    reported = {**money_of, "reported_calls_cost": Decimal(4), "reported_cost": Decimal(5)}
    in_page = [{**used, **reported, "first_offset": n, "api_key_id": "k"} for n in (5, 70)]
    insert(client, "usage_billing", in_page)
    insert(client, "usage_billing", [{**used, "line": 1, "first_offset": 5, "api_key_id": None}])
    insert(client, "usage_billing", [{**used, "line": 2, "first_offset": 5, "customer_id": "another"}])
    sold = {"model": "m", "provider": "p", "occurred_hour": begins, "first_offset": 70, "events": 10, "errors": 4}
    sold |= {"rate_limited": 1, "latency_sum_ms": 900, "latency_calls": 3, **money("USD", "4.00", "USD", "5.00")}
    insert(client, "usage_market", [sold, {**sold, "line": 1, "provider": "another"}])

    places = ask(client, "SELECT alert, is_open FROM boards.anomalies ORDER BY place")
    assert places == [("5", 1), ("4", 1), ("3", 1), ("2", 1), ("1", 1), ("0", 0)], "open ones first, the newest first"
    asked = "SELECT measure, minute, seen FROM boards.alert_bands WHERE {} ORDER BY measure, minute"
    found = ask(client, asked.format("seen != 0"))
    naive = begins.replace(tzinfo=None)
    first, later = naive + timedelta(minutes=5), naive + timedelta(minutes=70)
    assert found == [
        ("errors", later, 0.3),
        ("first_token_ms", later, 300.0),
        ("loss", later, 0.25),
        ("price_mismatch", first, 0.2),
        ("price_mismatch", later, 0.2),
        ("rate_limited", later, 0.1),
        ("tokens", first, 180.0),
        ("tokens", later, 90.0),
    ]
    kinds = "SELECT measure, countIf(seen = 0), countIf(seen IS NULL) FROM boards.alert_bands GROUP BY measure"
    quiet = {measure: (zero, null) for measure, zero, null in ask(client, kinds)}
    assert quiet["tokens"] == (118, 0), "a customer's silence is 0"
    assert quiet["errors"] == (0, 119), "no call has no share of errors"
    hours = "SELECT minute, low, expected, high FROM boards.alert_band WHERE measure = 'loss' ORDER BY minute"
    rows = ask(client, hours)
    assert len(rows) == len(ask(client, "SELECT 1 FROM boards.alert_band")) == 120, "the newest that is open alone"
    assert rows[0] == (naive, 1.0, 2.0, 4.0)
    assert rows[60] == (naive + timedelta(hours=1), 10.0, 20.0, 40.0)
