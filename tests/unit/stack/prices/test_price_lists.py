"""LiteLLM's map and OpenRouter's list, field by field: what becomes a price, and what is left out and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tokenmeter.emit.model_names import Served, model_name, served
from tokenmeter.events.catalog import PriceTerms
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.errors import Misconfigured
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import changes
from tokenmeter.stack.prices.formats import CSV, LITELLM, OPENROUTER, read_price_list
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.proposed import Parsed
from tokenmeter.stack.prices.validate import problems

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
CHAT = {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6}


def read(folder: Path, document: Any, **options: Any) -> Parsed:
    path = folder / "list.json"
    path.write_text(json.dumps(document, indent=4))
    return read_price_list(path, Options(JUNE, **options))[1]


def litellm(folder: Path, **fields: Any) -> Parsed:
    """The map of one chat model with these fields."""
    return read(folder, {"gpt-x": {**CHAT, **fields}})


def units(row: CatalogRow) -> dict[str, int]:
    """Unit prices in pico-units that are not zero."""
    assert isinstance(row, PriceTerms)
    return {name: unit for name, unit in row.units_pico().items() if unit}


def by_terms(parsed: Parsed) -> dict[tuple[str | None, str | None, int], dict[str, int]]:
    """Units by (variant, tier, least tokens)."""
    rows = [one.row for one in parsed.rows if isinstance(one.row, PriceTerms)]
    return {(row.variant, row.service_tier, row.min_input_tokens): units(row) for row in rows}


def skipped(parsed: Parsed) -> dict[str, str]:
    """Reasons by field, or by entry where all of it was left out."""
    return {one.field or one.entry: one.reason for one in parsed.skipped}


def test_what_is_not_given_costs_as_the_whole_it_is_in(tmp_path: Path) -> None:
    (one,) = litellm(tmp_path).rows
    made = units(one.row)
    assert {made[name] for name in ("input_tokens", "cached_input_tokens", "cache_write_1h_tokens")} == {2_000_000}
    assert {made[name] for name in ("output_tokens", "reasoning_tokens", "output_image_tokens")} == {8_000_000}
    assert (str(one.place).rpartition("/")[2], getattr(one.row, "model", "")) == ("list.json:2", "openai/gpt-x")


def test_each_token_class_has_its_field(tmp_path: Path) -> None:
    (one,) = litellm(
        tmp_path,
        cache_read_input_token_cost=1e-7,
        cache_creation_input_token_cost=2.5e-6,
        cache_creation_input_token_cost_above_1hr=4e-6,
        output_cost_per_reasoning_token=9e-6,
        input_cost_per_audio_token=3e-6,
        output_cost_per_audio_token=4e-5,
        input_cost_per_image_token=5e-6,
        output_cost_per_image_token=6e-5,
    ).rows
    assert units(one.row) == {
        "input_tokens": 2_000_000,
        "cached_input_tokens": 100_000,
        "cache_write_tokens": 2_500_000,
        "cache_write_1h_tokens": 4_000_000,
        "input_audio_tokens": 3_000_000,
        "input_image_tokens": 5_000_000,
        "output_tokens": 8_000_000,
        "reasoning_tokens": 9_000_000,
        "output_audio_tokens": 40_000_000,
        "output_image_tokens": 60_000_000,
    }


def test_a_threshold_prices_the_whole_call_from_the_next_token_on(tmp_path: Path) -> None:
    long = {
        "input_cost_per_token_above_200k_tokens": 4e-6,
        "output_cost_per_token_above_200k_tokens": 1.2e-5,
        "cache_read_input_token_cost": 2e-7,
        "output_cost_per_reasoning_token": 8e-6,
    }
    made = by_terms(litellm(tmp_path, **long))
    assert sorted(made) == [(None, None, 0), (None, None, 200_001)]
    above = made[None, None, 200_001]
    assert (above["input_tokens"], above["cached_input_tokens"]) == (4_000_000, 200_000)
    # Where reasoning costs as output does, it goes on doing so.
    assert (above["output_tokens"], above["reasoning_tokens"]) == (12_000_000, 12_000_000)
    dearer = by_terms(litellm(tmp_path, **{**long, "output_cost_per_reasoning_token": 9e-6}))
    assert dearer[None, None, 200_001]["reasoning_tokens"] == 9_000_000
    from_it_on = read(tmp_path, {"xai/grok-x": {**CHAT, **long, "litellm_provider": "xai"}})
    assert sorted(by_terms(from_it_on)) == [(None, None, 0), (None, None, 200_000)]


def test_batches_are_a_variant_and_priority_and_flex_are_tiers(tmp_path: Path) -> None:
    made = by_terms(
        litellm(
            tmp_path,
            input_cost_per_token_batches=1e-6,
            output_cost_per_token_batches=4e-6,
            input_cost_per_token_priority=3.5e-6,
            output_cost_per_token_priority=1.4e-5,
            input_cost_per_token_flex=1e-6,
            input_cost_per_token_above_272k_tokens=4e-6,
            input_cost_per_token_above_272k_tokens_priority=7e-6,
            cache_read_input_token_cost=2e-7,
        )
    )
    assert set(made) == {
        (None, None, 0),
        (None, None, 272_001),
        (None, "priority", 0),
        (None, "priority", 272_001),
        (None, "flex", 0),
        (None, "flex", 272_001),
        ("batch", None, 0),
    }
    assert made["batch", None, 0]["input_tokens"] == 1_000_000
    assert made["batch", None, 0]["cached_input_tokens"] == 200_000
    assert made[None, "priority", 272_001]["input_tokens"] == 7_000_000
    assert made[None, "priority", 272_001]["output_tokens"] == 14_000_000
    assert made[None, "flex", 0]["output_tokens"] == 8_000_000
    assert made[None, "flex", 272_001]["input_tokens"] == 4_000_000


def test_tiered_pricing_prices_the_whole_call_by_its_input(tmp_path: Path) -> None:
    tiers = [
        {"input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6, "range": [0, 32000]},
        {"input_cost_per_token": 3e-6, "cache_read_input_token_cost": 3e-7, "range": [32000, 256000]},
    ]
    made = by_terms(litellm(tmp_path, tiered_pricing=tiers))
    assert sorted(made) == [(None, None, 0), (None, None, 32_001)]
    assert made[None, None, 0]["cached_input_tokens"] == 1_000_000
    assert made[None, None, 32_001]["cached_input_tokens"] == 300_000
    assert made[None, None, 32_001]["output_tokens"] == 8_000_000


def test_off_peak_hours_are_windows(tmp_path: Path) -> None:
    windows = [
        {"hours_utc": ["00:00-01:00", "22:00-02:00"], "weekdays": [1, 2, 3, 4, 5]},
        {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
    ]
    parsed = litellm(tmp_path, off_peak_pricing={"input_cost_per_token": 1e-6, "windows": windows[1:]})
    rows = [one.row for one in parsed.rows if isinstance(one.row, PriceTerms)]
    assert [(row.window_start_minute, row.weekdays, units(row)["input_tokens"]) for row in rows] == [
        (None, 127, 2_000_000),
        (None, 0b110_0000, 1_000_000),
    ]
    assert units(rows[1])["output_tokens"] == 8_000_000
    # LiteLLM's weekday is that of the moment, so what crosses midnight is two windows.
    split = litellm(tmp_path, off_peak_pricing={"input_cost_per_token": 1e-6, "windows": [windows[0]]})
    spans = [(getattr(o.row, "window_start_minute", 0), getattr(o.row, "window_end_minute", 0)) for o in split.rows[1:]]
    assert spans == [(0, 60), (1320, 0), (0, 120)]
    assert problems(Catalog(), split.rows) != []  # the list itself names one hour twice
    odd = litellm(tmp_path, off_peak_pricing={"windows": windows, "weekday_timezone": "Europe/Berlin"})
    assert "clocks of time zone Europe/Berlin change" in skipped(odd)["off_peak_pricing"]


def test_one_price_in_two_units_is_taken_once(tmp_path: Path) -> None:
    drawn = litellm(tmp_path, output_cost_per_image=0.04, output_cost_per_image_token=3e-5, mode="image_generation")
    assert units(drawn.rows[0].row).get("images_out") is None
    assert "both would charge it twice" in skipped(drawn)["output_cost_per_image"]
    each = litellm(tmp_path, output_cost_per_image=0.04, mode="image_generation")
    made = units(each.rows[0].row)
    assert (made["images_out"], made.get("output_image_tokens")) == (40_000_000_000, None)
    spoken = litellm(tmp_path, output_cost_per_second=0.00025, mode="audio_speech")
    assert "video_seconds" not in units(spoken.rows[0].row)
    by_time = {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1e-4}
    (heard,) = read(tmp_path, {"whisper-x": {**by_time, "output_cost_per_second": 0.0}}).rows
    assert units(heard.row) == {"video_seconds": 100_000_000}
    film = {"litellm_provider": "gemini", "mode": "video_generation", "output_cost_per_second": 0.4}
    (made_film,) = read(tmp_path, {"gemini/veo-9": film}).rows
    assert units(made_film.row) == {"video_seconds": 400_000_000_000}


def test_searches_requests_and_what_is_chosen_of_several(tmp_path: Path) -> None:
    sizes = {f"search_context_size_{size}": price for size, price in (("low", 0.01), ("medium", 0.02), ("high", 0.03))}
    (one,) = litellm(tmp_path, search_context_cost_per_query=sizes, input_cost_per_request=0.005).rows
    assert units(one.row)["web_searches"] == 20_000_000_000
    assert units(one.row)["requests"] == 5_000_000_000
    assert one.row.note == "LiteLLM: gpt-x; web search at medium context"
    rerank = {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002}
    (ranked,) = read(tmp_path, {"rerank-v3.5": rerank}).rows
    assert units(ranked.row) == {"requests": 2_000_000_000}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("input_cost_per_character", 1e-6, "characters"),
        ("output_cost_per_second_1080p", 0.2, "resolution"),
        ("input_dbu_cost_per_token", 1e-5, "Databricks units"),
        ("regional_processing_uplift_multiplier_eu", 1.1, "region"),
        ("file_search_cost_per_1k_calls", 2.5, "tool or service"),
        ("cache_creation_input_token_cost_above_12hr", 1e-5, "12 hours"),
        ("cost_per_second", 0.01, "reserved capacity"),
        ("moon_phase_cost", 1, "does not know"),
        ("input_cost_per_token_flex", "dear", "no number"),
    ],
)
def test_a_field_that_is_left_out_says_why(tmp_path: Path, field: str, value: Any, reason: str) -> None:
    assert reason in skipped(litellm(tmp_path, **{field: value}))[field]
    assert skipped(litellm(tmp_path, max_input_tokens=5, supports_vision=True)) == {}


def test_an_entry_that_is_left_out_says_why(tmp_path: Path) -> None:
    parsed = read(
        tmp_path,
        {
            "sample_spec": {"litellm_provider": "one of many"},
            "gpt-latest": {"alias_of": "gpt-x"},
            "ft:gpt-x": CHAT,
            "hd/1024-x-1024/dall-e-9": CHAT,
            "bedrock/*/1-month-commitment/a.b": {**CHAT, "litellm_provider": "bedrock"},
            "chatgpt/gpt-x": {"litellm_provider": "chatgpt", "mode": "chat"},
            "tts-x": {**CHAT, "input_cost_per_token": 0, "output_cost_per_token": 0, "input_cost_per_character": 1e-6},
            "gpt-bad": {**CHAT, "input_cost_per_token": -1e-6},
            "gpt-x": CHAT,
        },
    )
    assert [getattr(one.row, "model", "") for one in parsed.rows] == ["openai/gpt-x"]
    reasons = skipped(parsed)
    for entry, reason in {
        "sample_spec": "no entry of a model",
        "gpt-latest": "alias",
        "ft:gpt-x": "fine-tuned",
        "hd/1024-x-1024/dall-e-9": "size, quality",
        "bedrock/*/1-month-commitment/a.b": "reserved capacity",
        "chatgpt/gpt-x": "no price of a call",
        "tts-x": "calls would be free",
        "gpt-bad": "negative",
    }.items():
        assert reason in reasons[entry]


def test_of_regions_and_spellings_one_is_kept_and_the_others_named(tmp_path: Path) -> None:
    bedrock = {**CHAT, "litellm_provider": "bedrock_converse"}
    dear = {**bedrock, "input_cost_per_token": 3e-6}
    parsed = read(
        tmp_path,
        {
            "eu.anthropic.claude-x-v1:0": dear,
            "us.anthropic.claude-x-v1:0": bedrock,
            "anthropic.claude-x-v1:0": bedrock,
            "bedrock/invoke/anthropic.claude-x-v1:0": bedrock,
        },
    )
    (kept,) = parsed.rows
    assert (getattr(kept.row, "model", ""), kept.row.note) == ("anthropic/claude-x", "LiteLLM: anthropic.claude-x-v1:0")
    reasons = skipped(parsed)
    assert reasons["eu.anthropic.claude-x-v1:0"] == "one region's own price, beside that of the entry kept"
    assert "the same as" in reasons["us.anthropic.claude-x-v1:0"]
    assert "another spelling" in reasons["bedrock/invoke/anthropic.claude-x-v1:0"]


@pytest.mark.parametrize(
    ("provider", "key", "expected"),
    [
        ("gemini", "gemini/gemini-2.5-pro", Served("gemini", "google/gemini-2.5-pro")),
        ("azure", "azure/eu/gpt-4o", Served("azure", "openai/gpt-4o", "eu")),
        ("anthropic", "claude-opus-4-6", Served("anthropic", "anthropic/claude-opus-4-6")),
        (
            "bedrock_converse",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Served("bedrock", "anthropic/claude-sonnet-4-5-20250929", "us"),
        ),
        (
            "bedrock",
            "bedrock/us-gov-west-1/nvidia.nemotron-super-3-120b",
            Served("bedrock", "nvidia/nemotron-super-3-120b", "us-gov-west-1"),
        ),
        ("bedrock_converse", "amazon.nova-pro-v1:0", Served("bedrock", "amazon/nova-pro")),
        ("vercel_ai_gateway", "vercel_ai_gateway/zai/glm-4.6", Served("vercel_ai_gateway", "z-ai/glm-4.6")),
        (
            "vertex_ai-anthropic_models",
            "vertex_ai/claude-opus-5@default",
            Served("vertex_ai", "anthropic/claude-opus-5"),
        ),
        (
            "vertex_ai-deepseek_models",
            "vertex_ai/deepseek-ai/deepseek-v3.1-maas",
            Served("vertex_ai", "deepseek/deepseek-v3.1"),
        ),
        ("vertex_ai-language-models", "gemini-2.5-flash", Served("vertex_ai", "google/gemini-2.5-flash")),
        (
            "fireworks_ai",
            "fireworks_ai/accounts/fireworks/models/kimi-k2p5",
            Served("fireworks_ai", "moonshotai/kimi-k2p5"),
        ),
        ("deepinfra", "deepinfra/Qwen/Qwen3-32B", Served("deepinfra", "qwen/qwen3-32b")),
        ("dashscope", "dashscope/qwen3-max", Served("dashscope", "qwen/qwen3-max")),
        ("databricks", "databricks/databricks-gpt-oss-20b", Served("databricks", "openai/gpt-oss-20b")),
        ("gradient_ai", "gradient_ai/anthropic-claude-3-opus", Served("gradient_ai", "anthropic/claude-3-opus")),
        ("cloudflare", "cloudflare/@cf/meta/llama-3.2-1b", Served("cloudflare", "meta-llama/llama-3.2-1b")),
        ("elevenlabs", "elevenlabs/scribe_v2", Served("elevenlabs", "elevenlabs/scribe_v2")),
        ("cohere_chat", "command-r-08-2024", Served("cohere", "cohere/command-r-08-2024")),
        ("xai", "xai/grok-4.7", Served("xai", "x-ai/grok-4.7")),
    ],
)
def test_keys_become_host_author_and_slug(provider: str, key: str, expected: Served) -> None:
    assert served(provider, key) == expected
    assert model_name(expected.provider, expected.model) == expected.model, "a name stays when it is named again"


def test_only_the_hosts_asked_for(tmp_path: Path) -> None:
    both = {"gpt-x": CHAT, "azure/gpt-x": {**CHAT, "litellm_provider": "azure"}}
    parsed = read(tmp_path, both, providers=("openai",), any_provider=True)
    assert [(getattr(one.row, "provider", ""), one.row.note) for one in parsed.rows] == [(None, "LiteLLM: gpt-x")]
    assert skipped(parsed) == {"azure/gpt-x": "a host that --provider does not name"}
    with pytest.raises(Misconfigured, match="name the one host"):
        read(tmp_path, both, any_provider=True)


def test_reading_a_list_again_changes_nothing(tmp_path: Path) -> None:
    first = litellm(tmp_path, input_cost_per_token_batches=1e-6, input_cost_per_token_above_200k_tokens=4e-6)
    later = read(
        tmp_path,
        {"gpt-x": {**CHAT, "input_cost_per_token_batches": 1e-6, "input_cost_per_token_above_200k_tokens": 4e-6}},
    )
    known = Catalog().extended(one.row for one in first.rows)
    again = changes(known, later.rows)
    assert (again.rows, again.unchanged) == ([], 3)
    dearer = litellm(tmp_path, input_cost_per_token_batches=1.5e-6, input_cost_per_token_above_200k_tokens=4e-6)
    assert [getattr(one.row, "variant", "") for one in changes(known, dearer.rows).rows] == ["batch"]


def openrouter(folder: Path, **models: Any) -> Parsed:
    return read(
        folder, {"data": [{"id": name.replace("__", "/"), "pricing": pricing} for name, pricing in models.items()]}
    )


def test_openrouters_prices(tmp_path: Path) -> None:
    base = {"prompt": "0.000003", "completion": "0.000015", "request": "0", "image": "0.0048", "web_search": "0.01"}
    cached = {"input_cache_read": "0.0000003", "input_cache_write": "0.00000375", "input_cache_write_1h": "0.000006"}
    parsed = read(
        tmp_path,
        {
            "data": [
                {"id": "anthropic/claude-x", "pricing": {**base, **cached, "internal_reasoning": "0", "discount": 0.1}},
                {"id": "tencent/hy3:free", "pricing": {"prompt": "0", "completion": "0"}},
                {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
            ]
        },
    )
    claude, free = (one.row for one in parsed.rows)
    assert units(claude) == {
        "input_tokens": 3_000_000,
        "cached_input_tokens": 300_000,
        "cache_write_tokens": 3_750_000,
        "cache_write_1h_tokens": 6_000_000,
        "input_audio_tokens": 3_000_000,
        "input_image_tokens": 3_000_000,
        "output_tokens": 15_000_000,
        "reasoning_tokens": 15_000_000,
        "output_audio_tokens": 15_000_000,
        "output_image_tokens": 15_000_000,
        "web_searches": 10_000_000_000,
    }
    assert isinstance(free, PriceTerms)
    assert (free.model, free.variant, units(free)) == ("tencent/hy3", "free", {})
    assert skipped(parsed) == {
        "image": "the same is priced by token: both would charge it twice",
        "discount": "a discount that the prices already have",
        "openrouter/auto": "a router: it costs what the model it chooses costs",
    }
    assert [one.place.line for one in parsed.rows] == [4, 19]


def test_openrouters_overrides_apply_together_and_the_later_wins(tmp_path: Path) -> None:
    overrides = [
        {"min_prompt_tokens": 200_000, "prompt": "0.000004"},
        {"utc_start": 1630, "utc_end": 30, "prompt": "0.000001", "completion": "0.000002"},
    ]
    pricing = {"prompt": "0.000002", "completion": "0.000008", "overrides": overrides}
    rows = [o.row for o in openrouter(tmp_path, a__one=pricing).rows if isinstance(o.row, PriceTerms)]
    found = {
        (row.min_input_tokens, row.window_start_minute): (units(row)["input_tokens"], units(row)["output_tokens"])
        for row in rows
    }
    assert found == {
        (0, None): (2_000_000, 8_000_000),
        (0, 990): (1_000_000, 2_000_000),
        (200_000, None): (4_000_000, 8_000_000),
        (200_000, 990): (1_000_000, 2_000_000),
    }
    assert {row.window_end_minute for row in rows if row.window_start_minute} == {30}
    weekend = {"utc_days": ["saturday", "sunday"], "prompt": "0.000001"}
    days = openrouter(tmp_path, a__one={**pricing, "overrides": [weekend]})
    assert [getattr(one.row, "weekdays", 0) for one in days.rows] == [127, 0b110_0000]
    strange = openrouter(tmp_path, a__one={**pricing, "overrides": [{"moon": "full", "prompt": "0"}]})
    assert skipped(strange) == {"overrides": "a condition that this import does not know"}
    both = [overrides[1], {"utc_start": 2300, "utc_end": 100, "prompt": "0"}]
    assert skipped(openrouter(tmp_path, a__one={**pricing, "overrides": both})) == {
        "overrides": "times that overlap those of another override"
    }


def test_a_file_is_told_by_its_shape(tmp_path: Path) -> None:
    for text, kind in (
        (json.dumps({"gpt-x": CHAT}), LITELLM),
        (json.dumps({"data": [{"id": "a/b", "pricing": {"prompt": "0"}}]}), OPENROUTER),
        ("model,input,output\na/one,1,2\n", CSV),
    ):
        path = tmp_path / "f"
        path.write_text(text)
        assert read_price_list(path, Options(JUNE))[0] == kind
    path.write_text('{\n "a": {\n')
    with pytest.raises(Misconfigured, match=r"f:3: no JSON"):
        read_price_list(path, Options(JUNE))
    with pytest.raises(Misconfigured, match="cannot read"):
        read_price_list(tmp_path / "nowhere", Options(JUNE))
