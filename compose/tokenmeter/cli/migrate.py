"""The verb ``migrate``: brings ClickHouse's tables to this version."""

from __future__ import annotations

from tokenmeter.cli.places import clickhouse
from tokenmeter.cli.settings import load
from tokenmeter.cli.terminal import DataOption, say
from tokenmeter.store.client import connect
from tokenmeter.store.comments import explain
from tokenmeter.store.migrate import MIGRATE_TIMEOUT_S, migrate

EXAMPLES = "Example: tokenmeter migrate"


def migrate_tables(data: DataOption = None) -> None:
    """Bring ClickHouse's tables to this version."""
    settings = load(data=data)
    client = connect(*clickhouse(settings), query_timeout_s=MIGRATE_TIMEOUT_S)
    applied = migrate(client, say=say, cluster=settings.clickhouse_cluster)
    explain(client, settings.clickhouse_cluster)
    say(f"applied: {', '.join(applied) or 'nothing new'}")
