"""A small catalogue that replayed and generated calls are attributed to, by a stable hash of where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

CUSTOMERS = 200
KEYS_PER_CUSTOMER = 3
ZIPF_EXPONENT = 1.1

CODE_MODELS: tuple[tuple[str, str], ...] = (
    ("anthropic/claude-sonnet-4.5", "anthropic"),
    ("openai/gpt-5-codex", "azure"),
    ("qwen/qwen3-coder", "alibaba"),
    ("deepseek/deepseek-v3.2", "deepseek"),
)
CHAT_MODELS: tuple[tuple[str, str], ...] = (
    ("moonshotai/kimi-k2.5", "moonshot"),
    ("minimax/minimax-m2.5", "minimax"),
    ("z-ai/glm-5", "z-ai"),
    ("deepseek/deepseek-v3.2", "deepseek"),
    ("anthropic/claude-opus-4.6", "anthropic"),
    ("google/gemini-3-flash", "google"),
)
APPS: tuple[str, ...] = ("openclaw", "cline", "roo-code", "sillytavern", "chatroom", "translator")
COUNTRIES: tuple[str, ...] = ("US", "CN", "DE", "IN", "JP", "BR")


@dataclass(frozen=True)
class Attribution:
    """Who made a call, and what served it."""

    customer_id: str
    project_id: str
    api_key_id: str
    app_id: str
    country: str
    model: str
    provider: str


def stable_number(text: str) -> int:
    """64 bits that are the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _rank(number: int, size: int) -> int:
    """A rank in [0, size), small ones far likelier, as customers and models are."""
    unit = (number & 0xFFFFFFFF) / 2**32
    return min(size - 1, int(size * unit ** (1 + ZIPF_EXPONENT)))


def attribute(origin: str, models: Sequence[tuple[str, str]]) -> Attribution:
    """The attribution of the call that ``origin`` (say, file and line) names."""
    number = stable_number(origin)
    customer = _rank(number, CUSTOMERS)
    model, provider = models[_rank(number >> 16, len(models))]
    return Attribution(
        customer_id=f"cus_{customer:04d}",
        project_id=f"prj_{customer:04d}_{number % 2}",
        api_key_id=f"key_{customer:04d}_{(number >> 8) % KEYS_PER_CUSTOMER}",
        app_id=APPS[_rank(number >> 24, len(APPS))],
        country=COUNTRIES[customer % len(COUNTRIES)],
        model=model,
        provider=provider,
    )
