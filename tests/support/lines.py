"""Rows as a loader inserts them, made in ClickHouse: lines of pages and raw events of ``now``'s last days."""

from __future__ import annotations

from datetime import UTC, datetime

from clickhouse_connect.driver.client import Client

from tokenmeter.store.totals import SOURCES, Due

ROWS = 600
_NOW = datetime.now(UTC)
"""Taken once: a page that is loaded again has the same times."""
_HOUR = f"toDateTime64('{_NOW:%Y-%m-%d %H:00:00}', 6, 'UTC') - toIntervalHour({{n}} % 50)"
_MODEL = "concat('author-', toString({n} % 3), '/model-', toString({n} % 7))"
_PRICED = "if({n} % 5 = 0, NULL, toDecimal128({n} / 1000, 12))"
_CURRENCY = "if({n} % 5 = 0, NULL, if({n} % 2 = 0, 'USD', 'EUR'))"
_MARKET = f"""
INSERT INTO tokenmeter.usage_market
    (partition, first_offset, line, model, provider, app_id, variant, operation, occurred_hour, currency, events,
     errors, unpriced, latency_calls, latency_sum_ms, input_tokens, output_tokens, charge, cost)
SELECT {{partition}}, intDiv(number, 100) * 100, number % 100, {_MODEL}, concat('p', toString({{n}} % 2)),
    if({{n}} % 4 = 0, NULL, concat('app-', toString({{n}} % 4))), 'standard', 'CHAT', {_HOUR}, {_CURRENCY},
    1 + {{n}} % 3, {{n}} % 2, if({{n}} % 5 = 0, 1 + {{n}} % 3, 0), 1, {{n}}, 1000 + {{n}}, 100, {_PRICED}, {_PRICED}
FROM numbers({{rows}})"""
_BILLING = f"""
INSERT INTO tokenmeter.usage_billing
    (partition, first_offset, line, customer_id, project_id, model, provider, variant, occurred_hour, currency,
     provisional, events, errors, input_tokens, output_tokens, charge, cost)
SELECT {{partition}}, intDiv(number, 100) * 100, number % 100, concat('c', toString({{n}} % 11)),
    if({{n}} % 4 = 0, NULL, 'project'), {_MODEL}, 'p', 'standard', {_HOUR}, {_CURRENCY}, {{n}} % 3 = 0, 1 + {{n}} % 3,
    {{n}} % 2, 1000 + {{n}}, 100, {_PRICED}, {_PRICED}
FROM numbers({{rows}})"""
_RESALE = f"""
INSERT INTO tokenmeter.usage_resale
    (partition, first_offset, line, account_id, level, customer_id, model, occurred_hour, events, input_tokens,
     charge)
SELECT {{partition}}, intDiv(number, 100) * 100, number % 100, 'reseller', 1, concat('c', toString({{n}} % 11)),
    {_MODEL}, {_HOUR}, 1, 1000 + {{n}}, {_PRICED}
FROM numbers({{rows}})"""
_EVENTS = f"""
INSERT INTO tokenmeter.usage_events
    (event_id, kind, occurred_at, customer_id, model, provider, variant, operation, status, streamed, input_tokens,
     output_tokens, latency_ms, duration_ms, partition, offset, appended_at)
SELECT concat('{{partition}}-', toString(number)), if({{n}} % 50 = 0, 'CORRECTION', 'USAGE'),
    toDateTime64('{_NOW:%Y-%m-%d %H:%M:%S}', 6, 'UTC') - toIntervalSecond({{n}} % 40 * 300),
    concat('c', toString({{n}} % 11)), {_MODEL},
    concat('p', toString({{n}} % 2)), 'standard', 'CHAT', if({{n}} % 10 = 0, 429, 200), {{n}} % 2,
    1000 + {{n}}, 100, if({{n}} % 6 = 0, NULL, {{n}}), {{n}} * 2, {{partition}}, number,
    toDateTime64('{_NOW:%Y-%m-%d %H:%M:%S}', 3, 'UTC')
FROM numbers({{rows}})"""
INSERTS = {"usage_market": _MARKET, "usage_billing": _BILLING, "usage_resale": _RESALE, "usage_events": _EVENTS}


def statement(table: str, partition: int = 0, rows: int = ROWS, shift: int = 0) -> str:
    """An insert of ``rows`` of a partition; another ``shift`` gives other figures under the same keys."""
    return INSERTS[table].format(partition=partition, rows=rows, n=f"(number + {shift})")


def load(client: Client, partition: int = 0, rows: int = ROWS) -> None:
    """Insert rows into every table that totals or views are made of."""
    for table in INSERTS:
        client.command(statement(table, partition, rows))


def all_buckets(client: Client) -> list[Due]:
    """Every hour and minute that has rows."""
    found: list[Due] = []
    for source in SOURCES.values():
        start = (
            f"intDiv(toUnixTimestamp(toDateTime({source.time_column}, 'UTC')), {source.bucket_s}) * {source.bucket_s}"
        )
        rows = client.query(f"SELECT DISTINCT {start} FROM tokenmeter.{source.table}").result_rows
        found += [(source.table, int(row[0])) for row in rows]
    return found
