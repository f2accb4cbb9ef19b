"""A chart of the samples as one SVG: a strip for each figure, a line for each worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, STRIP, LEFT, GAP = 900, 110, 90, 34
COLOURS = ("#0b6e99", "#c4581a", "#4d7c2f")
Series = Mapping[str, Sequence[tuple[float, float]]]


def svg(title: str, workers: Mapping[str, Series], marks: Sequence[tuple[float, str]] = ()) -> str:
    """``workers``: name to figures, each (hour, value); ``marks``: (hour, what happened), drawn as upright lines."""
    names = list(next(iter(workers.values())))
    last = max((at for figures in workers.values() for samples in figures.values() for at, _ in samples), default=1.0)
    height = GAP + len(names) * (STRIP + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="18">{escape(title)}</text>'
    ]
    for place, worker in enumerate(workers):
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<text x="{WIDTH - 180 + 90 * place}" y="18" fill="{colour}">{escape(worker)}</text>')

    def across(at: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * at / last

    for row, name in enumerate(names):
        top = GAP + row * (STRIP + GAP)
        highest = max((value for figures in workers.values() for _, value in figures[name]), default=0.0) or 1.0
        parts.append(
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{STRIP}" fill="none" stroke="#ccc"/>'
            f'<text x="4" y="{top + 14}">{escape(name)}</text><text x="4" y="{top + 30}">max {highest:,.0f}</text>'
        )
        for at, what in marks:
            x = across(at)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + STRIP}" stroke="#999" stroke-dasharray="3">'
                f"<title>{escape(what)}</title></line>"
            )
        for place, figures in enumerate(workers.values()):
            points = " ".join(
                f"{across(at):.1f},{top + STRIP * (1 - value / highest):.1f}" for at, value in figures[name]
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{COLOURS[place % len(COLOURS)]}" stroke-width="1.5"/>'
            )
    return "".join([*parts, "</svg>\n"])
