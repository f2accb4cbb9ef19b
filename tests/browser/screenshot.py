"""Opens one tab of a board in a real Chromium, waits for every chart, and keeps a picture.

    python -m browser.screenshot --url URL --board tokenmeter-market --tab 0 --password … --out market.png

It fails if a chart shows an error or no data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from browser.chromium import BROKEN, HOLDER, chromium, logged_in, open_board, open_tab
from tokenmeter.boards import BOARDS

DRAWING_MS = 3_000
HEIGHT_MAX = 3_000


def main(
    url: Annotated[str, typer.Option(help="Superset's address")],
    password: Annotated[str, typer.Option(envvar="SUPERSET_PASSWORD")],
    user: Annotated[str, typer.Option()] = "admin",
    board: Annotated[str, typer.Option(help="the board's slug")] = BOARDS[0].slug,
    tab: Annotated[int, typer.Option(help="number of the tab, from 0")] = 0,
    width: Annotated[int, typer.Option(help="of the window, in pixels")] = 1440,
    out: Annotated[Path, typer.Option(help="the PNG to write")] = Path("market.png"),
) -> None:
    """Take the picture."""
    if chromium() is None:
        raise SystemExit("no Chromium found: install your system's chromium package and run this again")
    charts = next(one for one in BOARDS if one.slug == board).tabs[tab].charts
    with logged_in(url, user, password, (width, 1000)) as page:
        open_board(page, url, board)
        open_tab(page, tab, len(charts))
        box = page.locator(".grid-container, [data-test=grid-content]").first.bounding_box()
        page.set_viewport_size({"width": width, "height": min(int(box["height"]) + 220 if box else 1000, HEIGHT_MAX)})
        page.mouse.move(0, 0)
        page.wait_for_timeout(DRAWING_MS)  # the drawing's own animation
        broken = page.locator(HOLDER).locator(BROKEN).count()
        page.screenshot(path=out)
    if broken:
        raise SystemExit(f"{broken} charts show an error or no data: see {out}")


if __name__ == "__main__":
    typer.run(main)
