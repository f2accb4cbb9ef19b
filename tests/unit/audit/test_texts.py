"""Texts side by side: which of two sorts later."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenmeter.audit.texts import later, texts

TEXT = st.none() | st.text(alphabet="\x00ab\xe9", max_size=20)
"""Few letters, so that texts share beginnings; a zero byte is no end."""


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_later_is_the_order_of_characters_with_null_first(pairs: list[tuple[str | None, str | None]]) -> None:
    laid = texts([text for pair in pairs for text in pair])
    rows = np.arange(len(pairs)) * 2
    found = later(laid.data, laid.begin, laid.size, rows, rows + 1).tolist()
    assert found == [(mine is not None, mine or "") < (theirs is not None, theirs or "") for mine, theirs in pairs]
