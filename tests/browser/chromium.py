"""A headless Chromium that is logged in to Superset, and what it sees of a board."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

CHART_TIMEOUT_MS = 120_000
HOLDER = ".dashboard-component-chart-holder:has([data-test=slice-header]):visible"
"""A chart; a note is held alike but has no header."""
TAB = ".dashboard-component-tabs .ant-tabs-tab"
LOADING = ".loading:visible, [data-test=loading-indicator]:visible"
BROKEN = ".ant-alert, .ant-empty, [data-test=chart-error]"

STEPS = 60
COLOURED = """canvas => {
    const scale = canvas.width / canvas.clientWidth;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const found = [];
    for (let y = 0; y < canvas.height; y += 5)
        for (let x = 0; x < canvas.width; x += 5) {
            const [r, g, b, a] = pixels.subarray(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 4);
            if (a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60) found.push([x / scale, y / scale]);
        }
    return found;
}"""
"""Where something coloured is drawn: bars, lines, bubbles, and the legend's marks."""


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
            log_in(page, url, user, password)
            yield page
        finally:
            browser.close()


def log_in(page: Page, url: str, user: str, password: str) -> None:
    """Give the browser a session as the login form does; typing into the form is lost while its script loads."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.request.get(f"{url}/login/").text())
    assert found, "the login page hands out a CSRF token"
    form = {"username": user, "password": password, "csrf_token": found.group(1)}
    answer = page.request.post(f"{url}/login/", form=form, headers={"Referer": url})
    assert "/login" not in answer.url, f"{user} is not logged in"


def open_board(page: Page, url: str, slug: str, **chosen: str) -> list[str]:
    """Open a board with what is chosen in its filters and wait for its first charts; the titles of its tabs."""
    filters = ",".join(_filter(name, value) for name, value in chosen.items())
    page.goto(f"{url}/superset/dashboard/{slug}/" + (f"?native_filters=({filters})" if filters else ""))
    page.locator(HOLDER).first.wait_for()
    return page.locator(TAB).all_inner_texts()


def _filter(name: str, value: str) -> str:
    """A filter of the bar as Superset's addresses have it (Rison)."""
    asked = f"filters:!((col:{name},op:IN,val:!('{value}')))"
    mask = f"id:NATIVE_FILTER-{name},extraFormData:({asked}),filterState:(value:!('{value}')),ownState:()"
    return f"NATIVE_FILTER-{name}:({mask})"


def open_tab(page: Page, number: int, charts: int) -> list[Locator]:
    """Show a tab and wait until its charts are drawn."""
    if page.locator(TAB).count():
        page.locator(TAB).nth(number).click()
    expect(page.locator(HOLDER)).to_have_count(charts, timeout=CHART_TIMEOUT_MS)
    for holder in page.locator(HOLDER).all():  # charts below the fold are asked for when they come into view
        holder.scroll_into_view_if_needed()
    drawn = page.locator(HOLDER).filter(has=page.locator(f"canvas, table, .header-line, {BROKEN}"))
    try:
        expect(drawn).to_have_count(charts, timeout=CHART_TIMEOUT_MS)
    except AssertionError as error:
        error.add_note("charts: " + "; ".join(repr(text[:60]) for text in page.locator(HOLDER).all_inner_texts()))
        raise
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


def choose_time(page: Page, last: str) -> None:
    """Choose one of Superset's ranges that end now ("Last quarter") in the filter Time range, and apply it."""
    page.locator("[data-test*=time-range]").first.click()
    popover = page.locator(".ant-popover:visible")
    popover.locator(".ant-select").first.click()
    page.locator(".ant-select-item-option").get_by_text("Last", exact=True).click()
    popover.get_by_text(last, exact=True).click()
    popover.locator("[data-test=date-filter-control__apply-button]").click()
    popover.wait_for(state="hidden")
    page.get_by_role("button", name="Apply").first.click()


def hovered(page: Page, chart: Locator) -> list[str]:
    """The lines of the tooltip at the newest point of a chart that is drawn on a canvas."""
    chart.scroll_into_view_if_needed()
    canvas = chart.locator("canvas").first
    tooltip = page.locator(".echarts-tooltip:visible")
    page.mouse.move(0, 0)
    expect(tooltip).to_have_count(0, timeout=CHART_TIMEOUT_MS)
    box = canvas.bounding_box()
    assert box is not None
    # An area of one week has no width: its axis tells all along the middle.
    middle = [(box["width"] * part / STEPS, box["height"] / 2) for part in range(STEPS, 0, -1)]
    for x, y in [*sorted(canvas.evaluate(COLOURED), reverse=True), *middle]:
        page.mouse.move(box["x"] + x, box["y"] + y)
        canvas.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if tooltip.count():
            return tooltip.first.inner_text().splitlines()
    raise AssertionError("no point of the chart tells its figures")
