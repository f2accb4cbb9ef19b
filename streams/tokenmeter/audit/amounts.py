"""Amounts in columns: 64 bits an event, two limbs of them where events are added up. Pure; no float, nothing rounded.

An amount is ``high * 2**32 + low``. Sums of limbs stay exact for two thousand million events; ``carried`` makes the
limbs of equal amounts equal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokenmeter.audit.walked import I64, NULL, Walked

Bools = npt.NDArray[np.bool_]

LIMB_BITS = np.int64(32)
LOW_MASK = np.int64(2**32 - 1)
_WORD_BYTES = 8
_WIDE_MAX = 2**94
"""Beyond this the high limb is too large to be added up."""


def limbs(amounts: I64) -> tuple[I64, I64]:
    """(low, high)."""
    return amounts & LOW_MASK, amounts >> LIMB_BITS


def carried(low: I64, high: I64) -> tuple[I64, I64]:
    """The same amounts with 0 <= low < 2**32."""
    return low & LOW_MASK, high + (low >> LIMB_BITS)


def total(low: I64, high: I64) -> int:
    """All of them, added up."""
    return int(low.sum()) + (int(high.sum()) << int(LIMB_BITS))


def fits(walked: Walked, name: str) -> Bools:
    """Rows whose decimal is null or has at most 64 bits."""
    return walked.sizes(name) <= _WORD_BYTES


def unscaled(walked: Walked, name: str) -> I64:
    """The integer of each decimal of at most 64 bits; 0 where null or longer."""
    column, size = walked.columns[name], walked.sizes(name)
    assert column.begin is not None
    rows = np.flatnonzero((size > 0) & (size <= _WORD_BYTES) & walked.ok)
    out = np.zeros(len(size), np.int64)
    words = np.ndarray(len(walked.data) - _WORD_BYTES + 1, np.int64, walked.data, strides=(1,))
    out[rows] = words[column.begin[rows]].byteswap() >> (64 - 8 * size[rows])  # big-endian; the shift keeps the sign
    return out


def unscaled_limbs(walked: Walked, name: str) -> tuple[I64, I64] | None:
    """The limbs of each decimal, 0 where null; None when one is larger than limbs can hold."""
    column, size = walked.columns[name], walked.sizes(name)
    assert column.begin is not None
    low, high = limbs(unscaled(walked, name))
    for row in np.flatnonzero((size > _WORD_BYTES) & (size != NULL)).tolist():
        begin = int(column.begin[row])
        amount = int.from_bytes(walked.data[begin : begin + int(size[row])].tobytes(), "big", signed=True)
        if abs(amount) > _WIDE_MAX:
            return None
        low[row], high[row] = amount & int(LOW_MASK), amount >> int(LIMB_BITS)
    return low, high
