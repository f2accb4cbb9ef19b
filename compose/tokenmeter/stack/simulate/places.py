"""Where simulated calls come from and who serves them: shares that are plausible, not published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tokenmeter.stack.simulate.facts import Offer, country_weights
from tokenmeter.stack.simulate.shares import Whole

HOME: dict[str, dict[str, float]] = {
    "china": {"CN": 4.0, "SG": 2.0, "HK": 2.0},
    "us": {"US": 1.3, "CN": 0.3},
    "other": {},
}
"""How much likelier a model's users are where its author is."""
CLOUDS = {
    "anthropic": ("anthropic", "amazon-bedrock", "google-vertex"),
    "openai": ("openai", "azure"),
    "google": ("google-ai-studio", "google-vertex"),
    "x-ai": ("x-ai",),
    "perplexity": ("perplexity",),
}
HOSTS = ("deepinfra", "novita", "siliconflow", "fireworks", "together", "baseten")
"""Who else serves models with open weights."""
SHARES = (0.62, 0.24, 0.14)


def countries(offers: Sequence[Offer], offer: Whole, chance: np.random.Generator) -> pl.Series:
    """A country for each line."""
    plain = country_weights()
    names = list(plain)
    found = np.empty(len(offer), np.int64)
    origin = np.array([one.origin for one in offers])[offer]
    drawn = chance.random(len(offer))
    for place, homes in HOME.items():
        weights = np.array([plain[name] * homes.get(name, 1.0) for name in names])
        mine = origin == place
        found[mine] = np.searchsorted(np.cumsum(weights) / weights.sum(), drawn[mine], "right")
    return pl.Series(names).gather(np.minimum(found, len(names) - 1))


def serving(number: int, offer: Offer) -> tuple[str, str, str]:
    """The three that serve an offer; the same one twice where there are fewer."""
    author = offer.model.split("/")[0]
    own = CLOUDS.get(author, (author, HOSTS[number % len(HOSTS)], HOSTS[(number + 1) % len(HOSTS)]))
    return own[0], own[1 % len(own)], own[2 % len(own)]


def providers(offers: Sequence[Offer], offer: Whole, chance: np.random.Generator) -> pl.Series:
    """A provider for each line."""
    names = [name for number, one in enumerate(offers) for name in serving(number, one)]
    which = np.searchsorted(np.cumsum(SHARES), chance.random(len(offer)), "right")
    return pl.Series(names).gather(offer * len(SHARES) + np.minimum(which, len(SHARES) - 1))
