"""Drawn cases by their seeds: some in each run, all of them in the long one."""

from __future__ import annotations

from typing import Any

import pytest


def seeds(count: int, often: int) -> list[Any]:
    """0 to ``count``, to parametrize a test with: the first ``often`` for `make test`, all for `make test-long`."""
    return [pytest.param(seed, marks=[pytest.mark.long] if seed >= often else []) for seed in range(count)]
