"""LiteLLM, or a skipped test where it is not installed; and how to take its callbacks away again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or its import asks the internet for prices
litellm: Any = pytest.importorskip("litellm", reason="make test installs it: pip install 'tokenmeter[litellm]'")

from litellm.proxy._types import UserAPIKeyAuth  # noqa: E402

__all__ = ["UserAPIKeyAuth", "called_back", "litellm", "plainly"]
_LISTS = ("success_callback", "failure_callback", "_async_success_callback", "_async_failure_callback")


def plainly() -> None:
    """No callbacks."""
    litellm.callbacks = []
    for listed in _LISTS:
        setattr(litellm, listed, [])


@contextmanager
def called_back(callback: Any) -> Iterator[None]:
    """That callback alone."""
    litellm.callbacks = [callback]
    try:
        yield
    finally:
        plainly()
