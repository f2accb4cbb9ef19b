"""Keys in the catalog change no price, no chain and no credit, for whoever reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from support.catalog_rows import account, plan, price
from support.events import event
from support.gateway_parts import NOW, key_row
from tokenmeter.audit.charges import Charges
from tokenmeter.emit.credit.book import CreditBook
from tokenmeter.events.catalog import row_of
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.flow.rate.book import Book
from tokenmeter.flow.rate.matching import Call
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Proposed
from tokenmeter.stack.prices.validate import problems

ROWS = [
    price("a/one", 7),
    plan("retail", margin_ppm=50_000),
    account("c", "retail", "d"),
    account("d", status="CLOSED"),
]
KEYS = [key_row("s", customer_id="c"), key_row("s", customer_id="c", revoked=True, effective_from=NOW)]
MIXED = [KEYS[0], *ROWS[:2], KEYS[1], *ROWS[2:]]
CALL = Call("c", "a/one", "p")


def answers(rows: list[CatalogRow]) -> dict[str, Any]:
    """What each reader of the catalog makes of it; no offset is named."""
    numbered = list(enumerate(row_of(row.to_value()) for row in rows))
    at = datetime(2026, 11, 1, tzinfo=UTC)
    book, credit = Book(numbered, len(numbered)), CreditBook()
    for offset, row in numbered:
        credit.fold_row(offset, row.to_value(), at.timestamp())
    record = event(model="a/one", customer_id="c").to_record()
    catalog = Catalog(numbered, len(numbered))
    return {
        "meter": (book.rating(CALL, at), book.chain_of("c", at), book.units(book.rating(CALL, at).price_id or "")),
        "audit": Charges(numbered).rating_of_event(record),
        "credit": (credit.answer("c", at.timestamp()), len(credit)),
        "accounts": sorted(row.row_id for _, row in catalog.rows if row not in KEYS),
    }


def test_every_reader_answers_with_keys_as_without() -> None:
    assert answers(MIXED) == answers(list(ROWS))


def test_a_row_that_prices_is_noticed() -> None:
    """The control."""
    assert answers([*MIXED, price("a/one", 8)])["meter"] != answers(list(ROWS))["meter"]


def test_keys_break_no_rule_of_prices_and_accounts() -> None:
    assert problems(Catalog(enumerate(ROWS), len(ROWS)), [Proposed(row, COMMAND_LINE) for row in KEYS]) == []
