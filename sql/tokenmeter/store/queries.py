"""The named queries of ``sqlfiles/``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who only wants a query's text needs no client
    from clickhouse_connect.driver.client import Client


@cache
def sql(name: str) -> str:
    """The text of ``sqlfiles/NAME.sql``."""
    return (files(__package__) / "sqlfiles" / f"{name}.sql").read_text("utf-8")


def money(client: Client) -> dict[str, int]:
    """Pico-units by kind and currency, e.g. ``charge USD``: what the lines charge, cost and charge to resellers."""
    return {
        f"{kind} {currency}": int(pico) for kind, currency, pico in client.query(sql("money_by_currency")).result_rows
    }


def totals(client: Client, name: str) -> dict[str, int]:
    """The one row of ``totals_NAME``: events and every quantity."""
    row = next(iter(client.query(sql(f"totals_{name}")).named_results()))
    return {column: int(value) for column, value in row.items()}
