"""Every board in a real Chromium: each chart draws without an error, and what one reads is what was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import expect

from browser.chromium import (
    BROKEN,
    CHART_TIMEOUT_MS,
    choose_time,
    chromium,
    open_board,
    open_tab,
    table_rows,
    titled,
)
from support.board_filters import NAMES, REACHED
from support.board_rows import MODELS
from support.superset import shared_node
from tokenmeter.boards import BOARDS, Board
from tokenmeter.boards.calls import CALLS
from tokenmeter.boards.chart import OURS
from tokenmeter.boards.market import MARKET

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium here: install your system's chromium package")

WITHOUT_DATA = {"Models, day"}
"""All rows are 24 hours old: the last 24 have none."""


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_every_chart_of_every_tab_draws_without_an_error(page: Page, board: Board) -> None:
    titles = [tab.title for tab in board.tabs]
    assert open_board(page, shared_node().url, board.slug) == (titles if len(titles) > 1 else [])
    for number, tab in enumerate(board.tabs):
        open_tab(page, number, len(tab.charts))
        for chart in tab.charts:
            holder = titled(page, chart.title)
            assert holder.count() == 1, chart.title
            broken = holder.locator(BROKEN).all_inner_texts()
            assert bool(broken) == (chart.title in WITHOUT_DATA), (chart.title, broken)


def test_what_one_reads_is_what_was_stored_and_a_filter_changes_it(page: Page) -> None:
    open_board(page, shared_node().url, "tokenmeter-market")
    open_tab(page, 0, len(BOARDS[0].tabs[0].charts))
    assert tile(page, "Calls") == "120"
    assert tile(page, "Models") == "12"
    assert tile(page, "Tokens") == "9.01P"
    open_tab(page, 1, len(BOARDS[0].tabs[1].charts))
    week = table_rows(titled(page, "Models, week"))
    assert [row["model"] for row in week[:3]] == MODELS[:3]
    assert (week[0]["Tokens"], week[1]["Tokens"]) == ("9007.20T", "19.00k"), "the first is above 2^53"
    assert week[0]["Change"] == "N/A"
    choose(page, "Author", "author0")
    open_tab(page, 1, len(BOARDS[0].tabs[1].charts))
    assert {row["model"] for row in table_rows(titled(page, "Models, week"))} == {MODELS[0], MODELS[11]}
    open_tab(page, 0, len(BOARDS[0].tabs[0].charts))
    assert (tile(page, "Calls"), tile(page, "Models")) == ("20", "2")


CHOSEN = {"model": MODELS[0], "author": "author0", "provider": "p0", "app": "claw"}


@pytest.mark.parametrize("board", [MARKET, CALLS], ids=lambda board: board.slug)
def test_each_filter_is_asked_of_the_charts_it_reaches_and_of_no_other(page: Page, board: Board) -> None:
    asked: dict[str, set[str]] = {}

    def note(request: Request) -> None:
        body = request.post_data_json if "/api/v1/chart/data" in request.url else {}
        if key := body.get("form_data", {}).get(OURS):  # else it is a filter that asks for names to choose from
            asked[key] = NAMES & {one["col"] for one in body["queries"][0]["filters"] if one["op"] == "IN"}

    page.on("request", note)
    try:
        open_board(page, shared_node().url, board.slug, **CHOSEN)
        for number, tab in enumerate(board.tabs):
            open_tab(page, number, len(tab.charts))
    finally:
        page.remove_listener("request", note)
    assert asked == {chart.key: REACHED[chart.view] for chart in board.charts}


def test_the_time_range_is_asked_of_every_chart_over_time_and_of_no_other(page: Page) -> None:
    asked: dict[str, str | None] = {}

    def range_of(request: Request) -> tuple[str, str | None] | None:
        """(a chart of ours, the range that the filter gives it), of a question for data."""
        body = request.post_data_json if "/api/v1/chart/data" in request.url else {}
        key = body.get("form_data", {}).get(OURS)
        return (key, body["form_data"].get("extra_form_data", {}).get("time_range")) if key else None

    def note(request: Request) -> None:
        if found := range_of(request):
            asked[found[0]] = found[1]

    open_board(page, shared_node().url, MARKET.slug)
    open_tab(page, 0, len(MARKET.tabs[0].charts))
    page.on("request", note)
    try:
        with page.expect_response(lambda one: (range_of(one.request) or "?")[1:] == ("Last quarter",)) as answered:
            choose_time(page, "Last quarter")
        for number, tab in enumerate(MARKET.tabs):
            open_tab(page, number, len(tab.charts))
    finally:
        page.remove_listener("request", note)
    over_time = {chart.key for chart in MARKET.charts if chart.time_column}
    assert {key for key, given in asked.items() if given == "Last quarter"} == over_time
    result = answered.value.json()["result"][0]
    days = (result["to_dttm"] - result["from_dttm"]) / (24 * 3600 * 1000)
    assert 89 <= days <= 92, "the question itself has the range"


def test_a_click_on_an_author_filters_the_other_charts(page: Page) -> None:
    open_board(page, shared_node().url, "tokenmeter-market")
    open_tab(page, 1, len(BOARDS[0].tabs[1].charts))
    titled(page, "Authors, week").locator("tbody td").get_by_text("author0", exact=True).click()
    expect(titled(page, "Models, week").locator("tbody tr")).to_have_count(2, timeout=CHART_TIMEOUT_MS)
    assert {row["model"] for row in table_rows(titled(page, "Models, week"))} == {MODELS[0], MODELS[11]}


def test_on_a_phone_charts_stand_below_each_other_and_none_is_wider(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_board(page, shared_node().url, "tokenmeter-market")
    boxes = [holder.bounding_box() for holder in open_tab(page, 1, len(BOARDS[0].tabs[1].charts))]
    for box in boxes:
        assert box is not None and 0 <= box["x"] < 50 and 240 <= box["width"] <= 390 - box["x"], boxes
    tops = [box["y"] for box in boxes if box]
    assert tops == sorted(tops) and len(set(tops)) == len(tops), "one below the other"


def tile(page: Page, title: str) -> str:
    return titled(page, title).locator(".header-line").inner_text().strip()


def choose(page: Page, name: str, value: str) -> None:
    """Choose a value in a filter of the bar and apply it."""
    box = page.get_by_role("combobox", name=name)
    box.first.click()
    box.first.fill(value)
    page.locator(".ant-select-item-option").get_by_text(value, exact=True).first.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Apply").first.click()
