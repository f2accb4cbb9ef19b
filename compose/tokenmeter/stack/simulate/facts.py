"""The facts of ``facts/*.csv``: who sells which model at what price, and what the market used in some weeks.

Figures of tokens are in trillions, as they were published; they become whole tokens here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files

TRILLION = 10**12
ORIGINS = ("china", "us", "other")


@dataclass(frozen=True)
class Offer:
    """A model's variant, which the market ranks on its own. Prices are in pico-dollars a token."""

    model: str
    variant: str
    origin: str
    launched: date
    strength: float
    half_life_weeks: float
    input_price_pico: int
    output_price_pico: int
    cached_price_pico: int


@dataclass(frozen=True)
class Week:
    """What was used in an ISO week, in whole tokens: by the country of the model's author, and by apps with a name."""

    monday: date
    by_origin: tuple[int, int, int]
    named_apps: int
    openclaw: int


@dataclass(frozen=True)
class Pin:
    """In the week of ``monday`` the offer used exactly so many tokens, and none that is not pinned used as many."""

    monday: date
    model: str
    variant: str
    tokens: int


@dataclass(frozen=True)
class App:
    """``first`` and ``last`` are its weights among apps at both ends of the facts."""

    name: str
    first: float
    last: float
    since: date


def tokens(trillions: str) -> int:
    """Exactly: a figure with more than twelve decimals is no whole number of tokens."""
    exact = Decimal(trillions) * TRILLION
    if exact != int(exact):
        raise ValueError(f"{trillions} T is no whole number of tokens")
    return int(exact)


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = (files(__package__) / "facts" / f"{name}.csv").read_text("utf-8")
    return csv.DictReader(text.splitlines())


def _price(usd_per_million: str) -> int:
    return int(Decimal(usd_per_million) * 10**6)


@cache
def offers() -> tuple[Offer, ...]:
    """Every variant of every model, in the order of the file."""
    models = {row["model"]: row for row in _rows("models")}
    return tuple(_offer(row, models[row["model"]]) for row in _rows("launches"))


def _offer(row: dict[str, str], model: dict[str, str]) -> Offer:
    listed = [model[f"{kind}_usd_per_m"] for kind in ("input", "output", "cached_input")]
    prices = [_price(text or listed[0]) if row["variant"] != "free" else 0 for text in listed]
    country = model["author_country"]
    return Offer(
        row["model"],
        row["variant"],
        "china" if country == "CN" else "us" if country == "US" else "other",
        date.fromisoformat(row["launched"]),
        float(row["strength"]),
        float(row["half_life_weeks"]),
        *prices,
    )


@cache
def weeks() -> tuple[Week, ...]:
    """The weeks that are known, in order."""
    return tuple(
        Week(
            date.fromisoformat(row["monday"]),
            (tokens(row["china_t"]), tokens(row["us_t"]), tokens(row["other_t"])),
            tokens(row["named_apps_t"]),
            tokens(row["openclaw_t"]),
        )
        for row in _rows("weeks")
    )


@cache
def pins() -> tuple[Pin, ...]:
    """The offers whose figure of a week is known."""
    return tuple(
        Pin(date.fromisoformat(row["monday"]), row["model"], row["variant"], tokens(row["tokens_t"]))
        for row in _rows("pins")
    )


@cache
def apps() -> tuple[App, ...]:
    """Apps that give a name; the first is OpenClaw, whose figures the weeks give."""
    return tuple(
        App(row["app"], float(row["first"]), float(row["last"]), date.fromisoformat(row["from"]))
        for row in _rows("apps")
    )


@cache
def country_weights() -> dict[str, float]:
    """How many of all users a country has, roughly."""
    return {row["country"]: float(row["weight"]) for row in _rows("countries")}
