"""One colour per author on every chart, and its tints for the author's models."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Iterable

AUTHORS = {
    "anthropic": "#D97757",
    "openai": "#10A37F",
    "google": "#4285F4",
    "deepseek": "#3B2FD9",
    "qwen": "#8B5CF6",
    "moonshotai": "#1F2937",
    "minimax": "#E11D74",
    "z-ai": "#0EA5E9",
    "x-ai": "#6B7280",
    "meta-llama": "#0866FF",
    "mistralai": "#F59E0B",
    "tencent": "#14B8A6",
    "bytedance": "#84CC16",
    "xiaomi": "#FB923C",
    "baidu": "#7C3AED",
    "nvidia": "#65A30D",
    "amazon": "#B45309",
    "microsoft": "#2563EB",
    "cohere": "#BE185D",
    "perplexity": "#0F766E",
    "stepfun": "#A855F7",
    "nousresearch": "#78716C",
}
WORDS = {
    "Others": "#B2B2B2",
    "other": "#B2B2B2",
    "no app": "#B2B2B2",
    "Unknown": "#8C8C8C",
    "unknown": "#8C8C8C",
    "China": "#DE2910",
    "US": "#3C5AA6",
    "open": "#2E9E6B",
    "closed": "#7A5195",
    "Calls": "#3C5AA6",
    "Errors": "#E04355",
    "429": "#F59E0B",
    "Metered": "#2E9E6B",
    "Repeated": "#3C5AA6",
    "Quarantined": "#E04355",
    "Lost": "#1F2937",
    "p50": "#2E9E6B",
    "p90": "#F59E0B",
    "p99": "#E04355",
    "Mean": "#3C5AA6",
    "Median": "#2E9E6B",
}
TINTS = 12


def author_color(author: str) -> str:
    """The author's colour: chosen, or one that its name always gives."""
    if author in AUTHORS:
        return AUTHORS[author]
    hue = int.from_bytes(hashlib.sha256(author.encode()).digest()[:2]) / 65_536
    return _hex(hue, 0.45, 0.5)


def model_color(model: str, author: str) -> str:
    """A tint of the author's colour, always the same for a model."""
    red, green, blue = (int(author_color(author)[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    step = int.from_bytes(hashlib.sha256(model.encode()).digest()[:2]) % TINTS
    return _hex(hue, min(0.85, light + (0.78 - light) * step / TINTS), saturation)


def label_colors(models: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Colour by label, for pairs of (model, author); words with a meaning of their own keep theirs."""
    pairs = sorted(models)
    return {
        **{model: model_color(model, author) for model, author in pairs},
        **{author: author_color(author) for author in sorted({author for _, author in pairs} | set(AUTHORS))},
        **WORDS,
    }


def _hex(hue: float, light: float, saturation: float) -> str:
    return "#" + "".join(f"{round(part * 255):02X}" for part in colorsys.hls_to_rgb(hue, light, saturation))
