"""One chart of each kind: the figure that one reads from the page is that of a direct query of the stored lines."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from clickhouse_connect.driver.client import Client

from browser.chromium import chromium, hovered, open_board, open_tab, titled
from support.superset import shared_node
from tokenmeter.boards.market import MARKET

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium here: install your system's chromium package")

UNITS = {"": 0, "k": 3, "M": 6, "B": 9, "G": 9, "T": 12, "P": 15}
LINES = "SELECT {} FROM tokenmeter.usage_market FINAL"
TOKENS = "sum(input_tokens + output_tokens)"


def read(text: str) -> tuple[Decimal, Decimal]:
    """What "8.8T", "50.0%" or "1,250.00" says, and half a unit of its last digit."""
    found = re.fullmatch(r"(-?[\d,]+)(\.\d+)?([kMBGTP]?)(%?)", text.strip())
    assert found, text
    whole, fraction, unit, percent = found[1].replace(",", ""), found[2] or "", found[3], found[4]
    exponent = UNITS[unit] - (2 if percent else 0)
    digit = Decimal(1).scaleb(exponent - max(len(fraction) - 1, 0))
    return Decimal(whole + fraction).scaleb(exponent), digit / 2


def assert_says(shown: str, exact: object) -> None:
    value, half = read(shown)
    assert abs(value - Decimal(str(exact))) <= half, (shown, exact)


def drawn(page: Page, title: str) -> list[str]:
    number, tab = next((n, t) for n, t in enumerate(MARKET.tabs) if title in {chart.title for chart in t.charts})
    open_board(page, shared_node().url, MARKET.slug)
    open_tab(page, number, len(tab.charts))
    return hovered(page, titled(page, title))


def pairs(tooltip: list[str]) -> dict[str, str]:
    """What each series has, of a tooltip with a line each."""
    return {name: value for name, _, value in (line.partition("\t") for line in tooltip) if value}


def test_bars(page: Page, stored: Client) -> None:
    shown = pairs(drawn(page, "Tokens per day by app"))
    wanted = stored.query(LINES.format(f"app_id, {TOKENS}") + " WHERE app_id IS NOT NULL GROUP BY 1").result_rows
    assert {"claw", "cline"} == {app for app, _ in wanted}
    for app, tokens in wanted:
        assert_says(shown[app], tokens)


def test_area(page: Page, stored: Client) -> None:
    shown = pairs(drawn(page, "Market share by author"))
    shares = LINES.format(
        f"splitByChar('/', model)[1], {TOKENS} / (SELECT {TOKENS} FROM tokenmeter.usage_market FINAL)"
    )
    wanted = dict(stored.query(shares + " GROUP BY 1").result_rows)
    assert {"author0", "author1"} <= set(shown)
    for author in set(shown) & set(wanted):
        assert_says(shown[author], wanted[author])


def test_line(page: Page, stored: Client) -> None:
    shown = pairs(drawn(page, "Tool calls per call"))
    ((wanted,),) = stored.query(LINES.format("sum(tool_calls) / sum(events)")).result_rows
    assert wanted == 0.5
    assert_says(shown["Tool calls per call"], wanted)


def test_bubble(page: Page, stored: Client) -> None:
    tooltip = drawn(page, "Price against volume")
    statement = LINES.format(f"model, {TOKENS} AS tokens, sum(charge) * 1000000 / tokens") + " WHERE currency = 'USD'"
    models = {row[0]: row[1:] for row in stored.query(statement + " GROUP BY 1").result_rows}
    (model,) = [name for name in models if f"({name})" in tooltip[0]]
    shown = pairs(tooltip)
    assert_says(shown["Tokens"], models[model][0])
    assert_says(shown["Price per million tokens"], models[model][1])


@pytest.mark.parametrize(
    ("shown", "exact", "agrees"),
    [
        ("8.8T", 8_796_093_022_207, True),
        ("8.8T", 8_900_000_000_000, False),
        ("50.0%", "0.5", True),
        ("49.9%", "0.5", False),
        ("58k", 57_600, True),
        ("58k", 57_400, False),
    ],
)
def test_the_comparison_knows_the_digits_that_are_shown(shown: str, exact: object, agrees: bool) -> None:
    if agrees:
        assert_says(shown, exact)
    else:
        with pytest.raises(AssertionError):
            assert_says(shown, exact)
