"""The named queries of ``queries/``, and text as SQL has it."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tokenmeter.events.contract import QUANTITY_FIELDS

if TYPE_CHECKING:  # who only wants a query's text needs no client
    from clickhouse_connect.driver.client import Client

_LISTED = re.compile(r"each_quantity\((?P<each>.*)\)(?=[,)]*$)", re.MULTILINE)


@cache
def sql(name: str, package: str = "tokenmeter.store") -> str:
    """The text of ``queries/NAME.sql`` of a package; a line ``each_quantity(sum(#) AS #)`` is one for each quantity."""
    return _LISTED.sub(_listed, (files(package) / "queries" / f"{name}.sql").read_text("utf-8"))


def _listed(found: re.Match[str]) -> str:
    return ", ".join(found["each"].replace("#", name) for name in QUANTITY_FIELDS)


def literal(text: str) -> str:
    """As a string of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def money(client: Client) -> dict[str, int]:
    """Pico-units by kind and currency, e.g. ``charge USD``: what the lines charge, cost and charge to resellers."""
    return {
        f"{kind} {currency}": int(pico) for kind, currency, pico in client.query(sql("money_by_currency")).result_rows
    }


def totals(client: Client, name: str) -> dict[str, int]:
    """The one row of ``totals_NAME``: events and every quantity."""
    row = next(iter(client.query(sql(f"totals_{name}")).named_results()))
    return {column: int(value) for column, value in row.items()}
