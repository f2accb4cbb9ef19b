"""LiteLLM's real map: imported in seconds, and calls priced as LiteLLM's own cost_per_token prices them."""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or its import asks the internet for prices
litellm = pytest.importorskip("litellm", reason="make test installs it: pip install 'tokenmeter[litellm]'")

from litellm.litellm_core_utils.llm_cost_calc import utils as litellm_costs  # noqa: E402
from litellm.types.utils import (  # noqa: E402
    CacheCreationTokenDetails,
    CompletionTokensDetailsWrapper,
    PromptTokensDetailsWrapper,
    Usage,
)

from tokenmeter.events.catalog import PriceTerms  # noqa: E402
from tokenmeter.events.contract import PART_OF  # noqa: E402
from tokenmeter.flow.rate.book import Book  # noqa: E402
from tokenmeter.flow.rate.matching import Call  # noqa: E402
from tokenmeter.stack.prices import json_lines  # noqa: E402
from tokenmeter.stack.prices.catalog import Catalog  # noqa: E402
from tokenmeter.stack.prices.formats import LITELLM, read_price_list  # noqa: E402
from tokenmeter.stack.prices.litellm_map import Options  # noqa: E402
from tokenmeter.stack.prices.proposed import Parsed  # noqa: E402
from tokenmeter.stack.prices.validate import problems  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # LiteLLM's own warnings are its own

MAP = Path(litellm.__file__).parent / "model_prices_and_context_window_backup.json"
IMPORT_MAX_S = 10.0
"""Of CPU, which the load of a machine does not change."""
MODELS, SEED = 200, 17
AT = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
"""A Wednesday noon, off-peak by some lists."""
LITELLM_HOSTS = {"cohere": "cohere_chat"}
"""Hosts that LiteLLM calls otherwise than events do."""
HALF_PICO = Fraction(1, 2)


@dataclass(frozen=True)
class Sample:
    """A call of a model that the map names, with what it used."""

    key: str
    price_row: PriceTerms
    tier: str | None
    used: Mapping[str, int]

    @property
    def call(self) -> Call:
        row = self.price_row
        return Call("c", row.model, row.provider or "", service_tier=self.tier, input_tokens=self.used["input_tokens"])


def charge(units: Mapping[str, int], used: Mapping[str, int]) -> int:
    """In pico-units, written out as the contract's page has it."""
    parts = sum(used.get(part, 0) * (units[part] - units[whole]) for part, whole in PART_OF.items())
    return parts + sum(used[whole] * units[whole] for whole in ("input_tokens", "output_tokens"))


def theirs(sample: Sample) -> Fraction:
    """What LiteLLM makes of it, in pico-units."""
    used = sample.used
    written = used["cache_write_tokens"] + used["cache_write_1h_tokens"]
    usage = Usage(
        prompt_tokens=used["input_tokens"],
        completion_tokens=used["output_tokens"],
        total_tokens=used["input_tokens"] + used["output_tokens"],
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=used["cached_input_tokens"],
            text_tokens=used["input_tokens"] - used["cached_input_tokens"] - written,
            cache_creation_tokens=written,
            cache_creation_token_details=CacheCreationTokenDetails(
                ephemeral_5m_input_tokens=used["cache_write_tokens"],
                ephemeral_1h_input_tokens=used["cache_write_1h_tokens"],
            ),
        ),
        completion_tokens_details=CompletionTokensDetailsWrapper(
            reasoning_tokens=used["reasoning_tokens"], text_tokens=used["output_tokens"] - used["reasoning_tokens"]
        ),
    )
    provider = sample.price_row.provider or ""
    sent, made = litellm.cost_per_token(
        model=sample.key,
        custom_llm_provider=LITELLM_HOSTS.get(provider, provider),
        usage_object=usage,
        service_tier=sample.tier,
    )
    return (Fraction(sent) + Fraction(made)) * 10**12


Entry = Mapping[str, Any]
Explained = Callable[[Book, Sample, Entry], int | None]
"""What we would charge if LiteLLM were right in one respect; None where the respect does not apply."""


def _units(book: Book, sample: Sample) -> dict[str, int]:
    price = book.best("list", sample.call, AT)
    assert price is not None, sample
    return price.units_pico()


def fireworks_halves_what_it_does_not_list(book: Book, sample: Sample, entry: Entry) -> int | None:
    """LiteLLM knows, outside its map, that Fireworks' cache costs half where the map has no price for it."""
    if sample.price_row.provider != "fireworks_ai" or "cache_read_input_token_cost" in entry:
        return None
    units = _units(book, sample)
    return charge({**units, "cached_input_tokens": units["input_tokens"] // 2}, sample.used)


def fireworks_has_no_tiers(book: Book, sample: Sample, entry: Entry) -> int | None:
    """LiteLLM's calculator for Fireworks is not told the service tier, though the map has prices for it."""
    if sample.price_row.provider != "fireworks_ai" or sample.tier is None:
        return None
    return charge(_units(book, replace(sample, tier=None)), sample.used)


EXPLAINED: tuple[Explained, ...] = (fireworks_halves_what_it_does_not_list, fireworks_has_no_tiers)


def agrees(pico: int, sample: Sample) -> bool:
    """Equal, but for unit prices rounded to whole pico-units and for floating point."""
    expected = theirs(sample)
    rounded = HALF_PICO * sum(sample.used.values())
    return abs(pico - expected) <= rounded + expected / 10**12


def unexplained(book: Book, samples: list[Sample], document: Mapping[str, Entry]) -> dict[str, list[str]]:
    """Keys by the name of what explains their difference, ``""`` where nothing does."""
    found: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        if agrees(charge(_units(book, sample), sample.used), sample):
            continue
        entry = document[sample.key]
        alternatives = ((one.__name__, one(book, sample, entry)) for one in EXPLAINED)
        why = next((name for name, pico in alternatives if pico is not None and agrees(pico, sample)), "")
        found[why].append(sample.key)
    return found


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded = json_lines.load(MAP.read_text("utf-8"), str(MAP))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    kind, made = read_price_list(MAP, Options(datetime(2026, 1, 1, tzinfo=UTC)))
    assert kind == LITELLM
    return made


@pytest.fixture(scope="module")
def samples(parsed: Parsed, document: Mapping[str, Entry]) -> list[Sample]:
    """MODELS chat models, each with a call at or near one of its thresholds or well below, in a tier it has or none."""
    rows: dict[str, list[PriceTerms]] = defaultdict(list)
    for one in parsed.rows:
        if isinstance(one.row, PriceTerms) and one.row.note is not None:
            rows[one.row.note.removeprefix("LiteLLM: ").partition(";")[0]].append(one.row)
    chance = random.Random(SEED)
    chat = sorted(key for key in rows if document[key].get("mode") == "chat")
    return [_sample(chance, key, rows[key]) for key in chance.sample(chat, MODELS)]


def _sample(chance: random.Random, key: str, rows: list[PriceTerms]) -> Sample:
    tier = chance.choice([None, *sorted({row.service_tier for row in rows if row.service_tier})])
    least = chance.choice(sorted({row.min_input_tokens for row in rows}))
    sent = max(100, least + chance.choice([-1, 0, 1, chance.randrange(5_000)]))
    made = chance.randrange(1, 4_000)
    used = {
        "input_tokens": sent,
        "cached_input_tokens": chance.randrange(sent // 3),
        "cache_write_tokens": chance.randrange(sent // 4),
        "cache_write_1h_tokens": chance.randrange(sent // 4),
        "output_tokens": made,
        "reasoning_tokens": chance.randrange(made),
    }
    return Sample(key, rows[0], tier, used)


def test_the_real_map_is_read_and_judged_in_seconds(document: Mapping[str, Entry]) -> None:
    begun = time.process_time()
    _, parsed = read_price_list(MAP, Options(datetime(2026, 1, 1, tzinfo=UTC)))
    wrong = problems(Catalog(), parsed.rows)
    assert time.process_time() - begun < IMPORT_MAX_S
    assert wrong == []
    assert len(document) > 4_000 < len(parsed.rows)
    assert len({one.row.key for one in parsed.rows}) == len(parsed.rows)


def test_every_entry_of_the_real_map_is_a_price_or_skipped_with_its_reason(
    parsed: Parsed, document: Mapping[str, Entry]
) -> None:
    noted = {(one.row.note or "").removeprefix("LiteLLM: ").partition(";")[0] for one in parsed.rows}
    skipped = {one.entry for one in parsed.skipped if one.field is None}
    assert noted.isdisjoint(skipped)
    assert noted | skipped == set(document)
    assert all(one.reason for one in parsed.skipped)
    unknown = [one for one in parsed.skipped if one.reason == "a price that this import does not know"]
    assert len(unknown) < 10, unknown


def test_two_hundred_chat_models_cost_what_litellm_says(
    parsed: Parsed, samples: list[Sample], document: Mapping[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm_costs, "current_billing_time", lambda: AT)
    book = Catalog().extended(one.row for one in parsed.rows).book()
    differing = unexplained(book, samples, document)
    assert differing.pop("", []) == []
    assert set(differing) <= {one.__name__ for one in EXPLAINED}
    # The mutant knows no long-context prices, tiers and caches: the same comparison catches each.
    for spoil in (_without_thresholds, _without_tiers, _without_caches):
        rows = [spoiled for one in parsed.rows if (spoiled := spoil(one.row)) is not None]
        wrong = Catalog().extended(rows).book()
        assert unexplained(wrong, samples, document)[""], spoil.__name__


def _without_thresholds(row: Any) -> Any:
    return row if row.min_input_tokens == 0 else None


def _without_tiers(row: Any) -> Any:
    return row if row.service_tier is None else None


def _without_caches(row: Any) -> Any:
    free = Decimal(0)
    return row.model_copy(update={"cached_input_tokens_price": free, "cache_write_tokens_price": free})
