"""A headless Chromium that is logged in to Superset, and what it sees of a board."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

CHART_TIMEOUT_MS = 120_000
HOLDER = ".dashboard-component-chart-holder:visible"
TAB = ".dashboard-component-tabs .ant-tabs-tab"
LOADING = ".loading:visible, [data-test=loading-indicator]:visible"
BROKEN = ".ant-alert, .ant-empty, [data-test=chart-error]"


def chromium() -> str | None:
    """The path of a Chromium on this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def logged_in(url: str, user: str, password: str, size: tuple[int, int] = (1440, 1000)) -> Iterator[Page]:
    """A page of a browser in which ``user`` is logged in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
            page.set_default_timeout(CHART_TIMEOUT_MS)
            page.goto(f"{url}/login/")
            page.locator("#username").first.fill(user)
            page.locator("#password").first.fill(password)
            page.keyboard.press("Enter")
            page.wait_for_url(lambda address: "/login" not in address)
            yield page
        finally:
            browser.close()


def open_board(page: Page, url: str, slug: str) -> list[str]:
    """Open a board and wait for its first charts; the titles of its tabs."""
    page.goto(f"{url}/superset/dashboard/{slug}/")
    page.locator(HOLDER).first.wait_for()
    return page.locator(TAB).all_inner_texts()


def open_tab(page: Page, number: int, charts: int) -> list[Locator]:
    """Show a tab and wait until its charts are drawn."""
    if page.locator(TAB).count():
        page.locator(TAB).nth(number).click()
    expect(page.locator(HOLDER)).to_have_count(charts, timeout=CHART_TIMEOUT_MS)
    for holder in page.locator(HOLDER).all():  # charts below the fold are asked for when they come into view
        holder.scroll_into_view_if_needed()
    drawn = page.locator(HOLDER).filter(has=page.locator(f"canvas, table, .header-line, {BROKEN}"))
    expect(drawn).to_have_count(charts, timeout=CHART_TIMEOUT_MS)
    expect(page.locator(LOADING)).to_have_count(0, timeout=CHART_TIMEOUT_MS)
    return page.locator(HOLDER).all()


def titled(page: Page, title: str) -> Locator:
    """The visible chart of that title."""
    name = page.locator("[data-test=slice-header]").get_by_text(title, exact=True)
    return page.locator(HOLDER).filter(has=name)


def table_rows(chart: Locator) -> list[dict[str, Any]]:
    """A table's cells as text, by heading."""
    headings = [text.strip() for text in chart.locator("thead th").all_inner_texts()]
    found = []
    for row in chart.locator("tbody tr").all():
        cells = [text.strip() for text in row.locator("td").all_inner_texts()]
        found.append(dict(zip(headings, cells, strict=True)))
    return found
