"""The named queries of ``sqlfiles/``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from clickhouse_connect.driver.client import Client


@cache
def sql(name: str) -> str:
    """The text of ``sqlfiles/NAME.sql``."""
    return (files(__package__) / "sqlfiles" / f"{name}.sql").read_text("utf-8")


def totals(client: Client, name: str) -> dict[str, int]:
    """The one row of ``totals_NAME``: events and every quantity."""
    row = next(iter(client.query(sql(f"totals_{name}")).named_results()))
    return {column: int(value) for column, value in row.items()}
