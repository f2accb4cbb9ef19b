"""Arithmetic that gives the same bits on every machine, so that a replay decides as the first run did.

IEEE 754 rounds + − × ÷ √ correctly everywhere; a library's logarithm may differ in its last bit between processors, and
a sum of floats depends on its order. Here the logarithm is made of exact operations, and totals over subjects are
integers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
"""float32 all through."""
Doubles: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]

LN_2 = 0.69314718
LN_10 = 2.30258509
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_FIXED = float(1 << 20)
"""Totals over subjects are counted in steps of 2^-20."""


def log(x: Floats) -> Floats:
    """ln x for positive normal float32 of any shape, error under 2e-7 of max(1, |ln x|).

    x = 2^e · m with m in [√½, √2); ln m = 2 · artanh s with s = (m − 1) / (m + 1), a series in s².
    """
    bits = x.view(np.int32)
    exponent = (bits - _SQRT_HALF_BITS) >> 23
    m = (bits - (exponent << 23)).view(np.float32)
    s = (m - 1) / (m + 1)
    q = s * s
    series = (((q * np.float32(1 / 9) + np.float32(1 / 7)) * q + np.float32(1 / 5)) * q + np.float32(1 / 3)) * q + 1
    found: Floats = 2 * s * series + exponent.astype(np.float32) * np.float32(LN_2)
    return found


@lru_cache(maxsize=64)
def _constant(value: float, rows: int) -> Floats:
    return np.full(rows, value, np.float32)


def at_least(x: Floats, least: float, out: Floats | None = None) -> Floats:
    """max(x, least) of float32 rows. numpy compares two arrays four times as fast as an array and a number."""
    found: Floats = np.maximum(x, _constant(least, len(x)), out=out)
    return found


def at_most(x: Floats, most: float, out: Floats | None = None) -> Floats:
    """min(x, most) of float32 rows."""
    found: Floats = np.minimum(x, _constant(most, len(x)), out=out)
    return found


def total(x: Floats) -> float:
    """Σ x in fixed point: the same whatever the order. Each |x| < 2^31 and fewer than 2^12 of the largest."""
    return float(np.rint(x.astype(np.float64) * _FIXED).astype(np.int64).sum()) / _FIXED
