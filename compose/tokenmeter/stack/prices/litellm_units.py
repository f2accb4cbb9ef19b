"""LiteLLM's prices per call, image, second and search as figures of our classes.

Some entries give one price in two units, by token and by image or second. Taking both would charge twice: tokens win.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tokenmeter.stack.prices.litellm_fields import SEARCH, UNIT_FIGURES

AUDIO_MODES = ("audio_transcription", "audio_speech", "realtime")
VIDEO_MODE = "video_generation"
BY_TOKEN = "the same is priced by token: both would charge it twice"
_SIZES = ("search_context_size_medium", "search_context_size_low", "search_context_size_high")

Skip = Callable[[str, str], None]
"""Takes (field, reason)."""


def unit_figures(entry: Mapping[str, Any], skip: Skip) -> tuple[dict[str, Decimal], list[str]]:
    """Figures of an entry that are not priced by token, and what to note of how they were chosen."""
    made: dict[str, Decimal] = {}
    notes: list[str] = []
    mode = str(entry.get("mode") or "")
    given = {name: entry[name] for name in UNIT_FIGURES if isinstance(entry.get(name), Decimal)}
    by_token = any(entry.get(f"{side}_cost_per_token") for side in ("input", "output"))
    if "input_cost_per_request" in given:
        made["requests"] = given.pop("input_cost_per_request")
    if "input_cost_per_query" in given:
        made["web_searches" if mode == "search" else "requests"] = given.pop("input_cost_per_query")
    _images(entry, given, mode, made, by_token, skip)
    _seconds(given, mode, made, by_token, skip)
    search = entry.get(SEARCH)
    if isinstance(search, dict):
        size = next((name for name in _SIZES if isinstance(search.get(name), Decimal)), None)
        if size is not None:
            made["web_searches"] = search[size]
            if len({search[name] for name in _SIZES if name in search}) > 1:
                notes.append(f"web search at {size.removeprefix('search_context_size_')} context")
    return made, notes


def _images(
    entry: Mapping[str, Any],
    given: dict[str, Decimal],
    mode: str,
    made: dict[str, Decimal],
    by_token: bool,
    skip: Skip,
) -> None:
    sent, drawn = given.pop("input_cost_per_image", None), given.pop("output_cost_per_image", None)
    if drawn is not None and entry.get("output_cost_per_image_token"):
        skip("output_cost_per_image", BY_TOKEN)
    elif drawn is not None:
        # Where images have a price each, the tokens they are made of have none.
        made.update(images_out=drawn, output_image_tokens=Decimal(0))
    if sent is None:
        return
    if mode == "image_generation" and drawn is None and not by_token:
        made.update(images_out=sent, output_image_tokens=Decimal(0))
    elif by_token and mode != "embedding":
        skip("input_cost_per_image", BY_TOKEN)
    else:
        made["images_in"] = sent


def _seconds(given: dict[str, Decimal], mode: str, made: dict[str, Decimal], by_token: bool, skip: Skip) -> None:
    if mode == VIDEO_MODE:
        for name in ("output_cost_per_second", "output_cost_per_video_per_second"):
            if name in given:
                made.setdefault("video_seconds", given.pop(name))
    elif mode in AUDIO_MODES:
        named = ("output_cost_per_second", "input_cost_per_second", "input_cost_per_audio_per_second")
        seconds = [given.pop(name) for name in named if name in given]
        if seconds and by_token:
            skip("input_cost_per_second", BY_TOKEN)
        elif seconds:
            made["video_seconds"] = next((price for price in seconds if price), seconds[0])
    for name in given:
        skip(name, "")
