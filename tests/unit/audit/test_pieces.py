"""Which accounts are charged alike: the audit rates one of them for all."""

from __future__ import annotations

import numpy as np

from support.catalog_rows import account
from tokenmeter.audit.facts import Keys
from tokenmeter.audit.pieces import Pieces
from tokenmeter.audit.texts import hashed, texts
from tokenmeter.events.catalog_row import CatalogRow

NAMES = ("a", "b", "moved", "top", "one", "other", "below", "nobody")
ROWS: list[CatalogRow] = [
    account("top"),
    account("a", parent_id="top"),
    account("b", parent_id="top"),
    account("moved", parent_id="top"),
    account("moved", "gold", "top"),
    account("one", parent_id="other"),
    account("other", parent_id="one"),
    account("below", parent_id="other"),
]


def alike(settled: int) -> set[frozenset[str]]:
    """Names that have the same payer."""
    key = Keys.drawn().first
    payers = Pieces(list(enumerate(ROWS)), key, settled).payers(hashed(texts(NAMES), key))
    return {frozenset(np.array(NAMES)[payers == payer].tolist()) for payer in set(payers.tolist())}


def test_accounts_with_the_same_rows_are_alike_and_who_is_above_somebody_stands_alone() -> None:
    alone = [frozenset([name]) for name in ("moved", "top", "one", "other", "below", "nobody")]
    assert alike(len(ROWS)) == {frozenset({"a", "b"}), *alone}


def test_a_row_that_some_page_did_not_know_makes_nobody_alike() -> None:
    assert alike(2) == {frozenset([name]) for name in NAMES}
