"""Opens a board in a real Chromium, waits for every chart, and keeps a picture.

    python -m browser.screenshot --url URL --user admin --password … --out market.png

Needs the ``browser`` extra and a Chromium; it fails if a chart shows an error or stays empty.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from playwright.sync_api import expect, sync_playwright

CHART_TIMEOUT_MS = 60_000
SIZE = {"width": 1440, "height": 1000}


def main(
    url: Annotated[str, typer.Option(help="the board's address")],
    password: Annotated[str, typer.Option(envvar="SUPERSET_PASSWORD")],
    user: Annotated[str, typer.Option()] = "admin",
    out: Annotated[Path, typer.Option(help="the PNG to write")] = Path("market.png"),
    charts: Annotated[int, typer.Option(help="how many charts must show")] = 8,
) -> None:
    """Take the picture."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        raise SystemExit("no Chromium found: install your system's chromium package and run this again")
    parts = urlsplit(url)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        page.goto(f"{parts.scheme}://{parts.netloc}/login/")
        page.get_by_label("username").or_(page.locator("#username")).first.fill(user)
        page.get_by_label("password").or_(page.locator("#password")).first.fill(password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda address: "/login" not in address)
        page.goto(f"{url}?standalone=1")
        holders = page.locator(".dashboard-component-chart-holder")
        expect(holders).to_have_count(charts, timeout=CHART_TIMEOUT_MS)
        expect(page.locator(".loading, [data-test=loading-indicator]")).to_have_count(0, timeout=CHART_TIMEOUT_MS)
        height = page.evaluate("document.querySelector('.grid-container, #app').scrollHeight") + 80
        page.set_viewport_size({"width": SIZE["width"], "height": min(int(height), 3000)})
        page.wait_for_timeout(3_000)  # the drawing's own animation
        broken = page.locator(
            ".dashboard-component-chart-holder .ant-alert, .dashboard-component-chart-holder .ant-empty"
        ).count()
        page.screenshot(path=out, full_page=True)
        browser.close()
    if broken:
        raise SystemExit(f"{broken} charts show an error or no data: see {out}")


if __name__ == "__main__":
    typer.run(main)
