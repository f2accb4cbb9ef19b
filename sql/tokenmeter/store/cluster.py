"""Renders the migrations for a cluster: replicated tables on the shards, distributed ones under the names clients know.

``tokenmeter.usage_events`` of one node becomes ``tokenmeter_shard.usage_events`` on every node, and a distributed table
takes its name: views, loaders and boards say the same as before. See ``0003-beyond-one-node.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

from clickhouse_connect.driver.client import Client

from tokenmeter.events.errors import Fatal, Misconfigured
from tokenmeter.store.parsed import Statement, Token
from tokenmeter.store.statement import sql

SETTINGS = {
    "distributed_foreground_insert": "1",
    "insert_quorum": "auto",
    "load_balancing": "in_order",
    "distributed_product_mode": "global",
    "parallel_distributed_insert_select": "0",
}
"""What the users of a cluster must have: an answered insert is on the shards; totals read what was inserted before."""

_CUSTOMER = ("usage_events", "usage_billing", "billing_daily")
_ACCOUNT = ("usage_resale", "ledger_entries", "account_states", "alerts")
_MODEL = (
    *("usage_market", "market_hourly", "market_daily", "app_daily", "contexts_by_day"),
    *("calls_by_minute", "calls_by_hour"),
)
SHARDED_BY = {
    **dict.fromkeys(_CUSTOMER, "cityHash64(customer_id)"),
    **dict.fromkeys(_ACCOUNT, "cityHash64(account_id)"),
    **dict.fromkeys(_MODEL, "cityHash64(model)"),
    "apps_by_day": "cityHash64(day)",
    "usage_pages": "cityHash64(partition)",
    "quarantine": "cityHash64(partition)",
    "foreign_records": "cityHash64(topic, partition)",
    "totals_due": "cityHash64(source, bucket)",
    "loaded_topics": "cityHash64(topic)",
    "model_facts": "cityHash64(name)",
    "schema_migrations": "cityHash64(name)",
    "reconcile_runs": "cityHash64(run_id)",
    "reconcile_identities": "cityHash64(chunk)",
    "audit_runs": "cityHash64(finished_at)",
}
"""All versions of a row must meet on one shard: each of these is the same for all of them."""
_OF_COLUMNS = ("ADD COLUMN", "DROP COLUMN", "MODIFY COLUMN", "RENAME COLUMN", "COMMENT COLUMN", "MODIFY COMMENT")
"""Alterations that the distributed table follows; of keys, indices and TTL it has none."""


def render(statement: Statement, cluster: str) -> list[str]:
    """The statements for ``cluster``, to be run on any one of its nodes, in order; each may be repeated.

    Raises Fatal for a kind of statement, or a table, that it does not know.
    """
    opening, names = _opening(statement)
    if opening.startswith("INSERT"):
        return [statement.text.decode()]
    here = _on_cluster(names, cluster)
    if "VIEW" in opening:
        return [_edited(statement, here)]
    if "DATABASE" in opening:
        return [_edited(statement, here), _edited(statement, _on_cluster(names, cluster, "_shard"))]
    database, table = names[0].name, names[1].name
    on_shards = _edited(statement, [*_on_cluster(names, cluster, "_shard"), *_replicated(statement, opening, names)])
    if opening.startswith("CREATE TABLE"):
        return [on_shards, _distributed("distributed_table", database, table, cluster)]
    if opening.startswith("DROP TABLE"):
        return [_distributed("distributed_table_dropped", database, table, cluster), on_shards]
    if opening.startswith("RENAME TABLE"):
        return [
            on_shards,
            _distributed("distributed_table_dropped", database, table, cluster),
            _distributed("distributed_table", database, names[4].name, cluster),
        ]
    if opening.startswith("ALTER TABLE"):
        follows = any(word in _OF_COLUMNS for word in statement.keywords)
        return [on_shards, _edited(statement, here)] if follows else [on_shards]
    raise Fatal(f"{opening} cannot be rendered for a cluster", hint="teach tokenmeter.store.cluster")


def require_settings(client: Client, cluster: str) -> None:
    """Raises Misconfigured when the user's own settings would lose or double rows on a cluster."""
    rows = client.query(sql("cluster_settings"), parameters={"names": list(SETTINGS)}).result_rows
    found = {str(name): str(value) for name, value in rows}
    wrong = [f"{name} = {wanted!r}" for name, wanted in SETTINGS.items() if found.get(name) != wanted]
    if wrong:
        raise Misconfigured(
            f"cluster {cluster}: the ClickHouse user lacks {', '.join(wrong)}",
            hint="put them into its settings profile, as 0003-beyond-one-node.md shows",
        )


def _opening(statement: Statement) -> tuple[str, list[Token]]:
    """("CREATE TABLE IF NOT EXISTS", the tokens that follow)."""
    first = next(at for at, token in enumerate(statement.tokens) if token.kind != "keyword")
    return " ".join(token.name.upper() for token in statement.tokens[:first]), list(statement.tokens[first:])


Edit = tuple[int, int, str]
"""(from, until, what stands there instead), in bytes."""


def _on_cluster(names: list[Token], cluster: str, suffix: str = "") -> list[Edit]:
    """ON CLUSTER after the name of the object, which is one word of a database, two of a table, five of a rename."""
    renamed = [token.name.upper() for token in names[2:3]] == ["TO"]
    words = 1 if len(names) == 1 else 5 if renamed else 2
    after = names[words - 1].end
    databases = names[0:4:3] if renamed else names[:1]
    return [(after, after, f" ON CLUSTER '{cluster}'"), *(_shards(token) for token in databases if suffix)]


def _shards(token: Token) -> Edit:
    """The database of the shards' tables instead of the clients'."""
    return token.end - len(token.text), token.end, f"{token.name}_shard"


def _replicated(statement: Statement, opening: str, names: list[Token]) -> Iterator[Edit]:
    if opening.startswith("CREATE TABLE"):
        if names[2].kind == "keyword" and names[2].name.upper() == "AS":
            yield _shards(names[3])
        engine = next(
            after
            for before, after in zip(statement.tokens, statement.tokens[1:], strict=False)
            if before.kind == "keyword" and before.name.upper() == "ENGINE"
        )
        yield engine.end - len(engine.text), engine.end, f"Replicated{engine.name}"


def _distributed(name: str, database: str, table: str, cluster: str) -> str:
    key = SHARDED_BY.get(table.removesuffix("_uncut"))
    if key is None:
        raise Fatal(f"nobody says by what {database}.{table} is sharded", hint="add it to SHARDED_BY")
    given = {"database": database, "table": table, "shards": f"{database}_shard", "cluster": cluster, "key": key}
    return Template(sql(name)).substitute(given)


def _edited(statement: Statement, edits: list[Edit]) -> str:
    text = statement.text
    for start, end, instead in sorted(edits, reverse=True):
        text = text[:start] + instead.encode() + text[end:]
    return text.decode()
