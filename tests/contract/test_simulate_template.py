"""A new demo begins with a copy of today's simulated market and adds only what is missing; nothing else is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from support.clickhouse import Server
from tokenmeter.stack.simulate import store, template
from tokenmeter.stack.simulate.market import Market, market, span
from tokenmeter.store.client import connect
from tokenmeter.store.migrate import migrate
from tokenmeter.store.totals import SOURCES

MONTHS = 1
"""As the demo of test_demo, so that both begin with the same template."""


def by_hour(made: Market) -> list[tuple[object, ...]]:
    used = (pl.col("input_tokens") + pl.col("output_tokens")).sum()
    return made.lines.group_by("occurred_hour", "model").agg(pl.len(), used).sort("occurred_hour", "model").rows()


def test_a_demo_begins_with_a_copy_and_adds_only_what_is_missing(tmp_path: Path) -> None:
    said: list[list[str]] = []
    today = template.template_path(datetime.now(UTC), MONTHS)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        said.append([])
        template.begin(tmp_path / name / "data", said[-1].append, MONTHS)
    assert len(said[0]) <= 1, "today's may be there already"
    assert said[1] == [] or template.template_path(datetime.now(UTC), MONTHS) != today, "made once"
    server = Server(tmp_path / "two")
    server.start()
    try:
        client = connect(server.url, "writer", "secret")
        assert migrate(client) == [], "the copy has today's tables"
        assert store.metered_rows(client) == 0
        made = market(span(datetime.now(UTC), MONTHS), template.SEED)
        added = store.missing(client, made.lines)
        assert added.height < made.lines.height / 10, "the hours since midnight"
        store.put(client, made)
        stored = "SELECT occurred_hour, toString(model) AS m, count(), sum(input_tokens + output_tokens) AS used "
        stored += "FROM simulated.usage_market FINAL GROUP BY occurred_hour, m ORDER BY occurred_hour, m"
        rows = [(hour.replace(tzinfo=UTC), *rest) for hour, *rest in client.query(stored).result_rows]
        assert rows == by_hour(made)
        for table in SOURCES["usage_market"].made:
            sql = f"SELECT sum(input_tokens + output_tokens) FROM simulated.{table} FINAL"
            assert client.query(sql).result_rows == [(sum(int(row[3]) for row in rows),)], table
        assert store.missing(client, made.lines).is_empty(), "twice adds nothing"
        assert client.query("SELECT count() FROM simulated.usage_events FINAL").result_rows == [(made.calls.height,)]
        other = market(span(datetime.now(UTC), MONTHS), template.SEED + 1)
        assert store.missing(client, other.lines).height == other.lines.height, "the control: another market is not it"
        client.command("ALTER TABLE simulated.market_daily DELETE WHERE day = yesterday() SETTINGS mutations_sync = 2")
        assert store.missing(client, made.lines).height == made.lines.height, "a total that was never made is not it"
    finally:
        server.child.kill()
