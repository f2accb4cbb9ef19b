"""The soak's judgement of flatness, on series whose answer is known."""

from __future__ import annotations

import math
import random

import pytest

from soak import flat
from soak.chart import svg
from soak.samples import FIGURES

HOURS = 24
FLAT = {"rss_mb": 300.0, "threads": 30.0, "files": 60.0, "lag": 100.0, "ids": 500.0}


def series(**growth_a_day: float) -> dict[str, list[tuple[float, float]]]:
    """A day of noisy samples; what is named grows by so much, and everything warms up in the first hours."""
    chance = random.Random(3)
    made = {}
    for name in FIGURES:
        samples = []
        for step in range(HOURS * 10):
            hour = step / 10
            warm = 0.5 + 0.5 * min(1.0, hour / 4)
            noise = 1 + 0.02 * chance.uniform(-1, 1)
            samples.append((hour, FLAT[name] * warm * noise + growth_a_day.get(name, 0.0) * hour / HOURS))
        made[name] = samples
    return made


def test_a_process_that_warms_up_and_stays_is_flat() -> None:
    assert flat.problems("meter", series()) == []


@pytest.mark.parametrize(("name", "growth"), [("rss_mb", 150), ("threads", 6), ("files", 15), ("lag", 5_000)])
def test_growth_is_found_in_each_figure(name: str, growth: float) -> None:
    (problem,) = flat.problems("meter", series(**{name: growth}))
    assert problem.startswith(f"meter {name}: rises by")


def test_a_worker_that_was_hardly_seen_is_not_taken_for_flat() -> None:
    few = {name: samples[-flat.SAMPLES_MIN :] for name, samples in series().items()}
    assert len(flat.problems("meter", few)) == len(flat.BOUNDS)


def test_the_line_of_exact_samples_is_exact() -> None:
    begin, rises = flat.rise([(hour, 5 + 2 * hour) for hour in range(10)])
    assert math.isclose(begin, 5) and math.isclose(rises, 18)


def test_the_chart_has_a_line_for_each_worker_and_figure() -> None:
    text = svg("a <day>", {"meter": series(), "load": series()}, [(3.0, "meter killed")])
    assert text.count("<polyline") == 2 * len(FIGURES)
    assert "a &lt;day&gt;" in text and "<title>meter killed</title>" in text
