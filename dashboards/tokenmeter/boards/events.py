"""Weeks in which the market moved, as published in 2026; drawn over the market's charts."""

from __future__ import annotations

from tokenmeter.boards.board import Annotation, Layer

MARKET_WEEKS = Layer(
    "tokenmeter: market weeks",
    (
        Annotation(
            "OpenClaw 8.31 %",
            "OpenClaw used 0.81 T tokens on OpenRouter in this week, 8.31 % of those of apps that give a name.",
            "2026-02-02",
            "2026-02-08",
        ),
        Annotation(
            "China 41.2 T, US 29.4 T",
            "On OpenRouter, models made in China passed those made in the US: 41.2 T against 29.4 T tokens.",
            "2026-02-09",
            "2026-02-15",
        ),
        Annotation(
            "China 51.6 T",
            "Models made in China reached 51.6 T tokens on OpenRouter.",
            "2026-02-16",
            "2026-02-22",
        ),
        Annotation(
            "OpenClaw 24.36 %",
            "OpenClaw used 4.97 T tokens on OpenRouter, 24.36 % of those of apps that give a name.",
            "2026-03-16",
            "2026-03-22",
        ),
        Annotation(
            "Tencent Hy3 first",
            "Hy3 preview (free) led OpenRouter; 2, 6 and 9 of the top 5, 10 and 20 models came from China.",
            "2026-05-04",
            "2026-05-10",
        ),
    ),
)
