"""What the cache answers: the chain, credit, budgets, expiries, each with its reason and the account that refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from support.catalog_rows import account
from support.ledger_desk import NOON, Desk, budget, prepaid
from tokenmeter.emit.credit.answer import OK, Answer, fail_modes
from tokenmeter.emit.credit.book import CreditBook
from tokenmeter.events.catalog import Account, Budget, row_of
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.errors import Misconfigured, Poison
from tokenmeter.flow.ledger.terms import LedgerRules

GRANT, DAY = "GRANT", timedelta(days=1)


class Told:
    """A book that is told the catalog's rows, and what a real ledger writes of the accounts."""

    def __init__(self, *rows: Account | Budget, rules: LedgerRules | None = None, **fail: str) -> None:
        self.book = CreditBook(fail)
        self.desk = Desk(*rows, rules=rules)
        for offset, row in enumerate(rows):
            self.book.fold_row(offset, row.to_value(), NOON.timestamp())

    def tell(self) -> None:
        """The ledger closes its page."""
        self.desk.restart()
        for account_id, value in self.desk.states.items():
            self.book.fold_state(account_id, value)

    def ask(self, customer: str = "c", at: datetime | None = None, **named: Any) -> Answer:
        """At the desk's time, unless another is given."""
        self.tell()
        return self.book.answer(customer, (at or self.desk.at).timestamp(), **named)


def refused(reason: str, account_id: str = "c") -> Answer:
    return Answer(False, reason, account_id)


def chain(length: int, **top: Any) -> Iterator[Account]:
    """``c`` pays ``p1`` pays ``p2`` ...; ``top`` are terms of the last."""
    names = ["c", *(f"p{level}" for level in range(1, length))]
    for name, parent in pairwise(names):
        yield account(name, parent_id=parent)
    yield account(names[-1], **top)


def test_credit_is_used_up_and_topped_up() -> None:
    told = Told(prepaid())
    assert told.ask() == refused("exhausted"), "nothing was granted yet"
    told.desk.post(told.desk.entry("PAYMENT", 10))
    assert told.ask() == OK
    told.desk.spend(10)
    assert told.ask() == refused("exhausted")
    told.desk.post(told.desk.entry("PAYMENT", 1))
    assert told.ask() == OK


def test_a_postpaid_account_has_its_limit() -> None:
    told = Told(account("c", credit_limit=Decimal(5)))
    assert told.ask() == OK
    told.desk.spend(5)
    assert told.ask() == refused("exhausted")
    assert Told(account("c", credit_limit=Decimal(0))).ask() == refused("exhausted")


def test_an_expiry_counts_when_it_is_due_not_when_it_is_booked() -> None:
    told = Told(prepaid())
    for amount, days in [(10, 1), (5, 2)]:
        told.desk.post(told.desk.entry(GRANT, amount, expires_at=NOON + days * DAY))
    told.desk.spend(3)
    assert told.ask(at=NOON + DAY) == OK, "the later grant pays yet"
    assert told.ask(at=NOON + 2 * DAY - timedelta(milliseconds=1)) == OK
    assert told.ask(at=NOON + 2 * DAY) == refused("expired")
    told.desk.pass_time(days=2)
    told.desk.spend(0)
    told.desk.expire()
    assert told.ask() == refused("expired"), "the ledger agrees"


def test_what_may_be_overdrawn_outlasts_a_grant() -> None:
    told = Told(prepaid(credit_limit=Decimal(5)))
    told.desk.post(told.desk.entry(GRANT, 10, expires_at=NOON + DAY))
    assert told.ask(at=NOON + 2 * DAY) == OK
    told.desk.spend(14)
    assert told.ask(at=NOON + 2 * DAY) == OK
    told.desk.spend(1)
    assert told.ask() == refused("exhausted")


@pytest.mark.parametrize("levels", range(1, 9))
def test_every_level_of_the_chain_is_asked_and_the_one_that_refuses_is_named(levels: int) -> None:
    told = Told(*chain(levels, credit_limit=Decimal(5)))
    top = f"p{levels - 1}" if levels > 1 else "c"
    assert told.ask().allowed
    told.desk.spend(5, top)
    assert told.ask() == refused("exhausted", top)


def test_a_ninth_level_is_charged_nothing_and_so_asked_nothing() -> None:
    told = Told(*chain(9, status="CLOSED"))
    assert told.ask() == OK


def test_parents_in_a_loop_are_asked_once() -> None:
    told = Told(account("c", parent_id="p"), account("p", parent_id="c", credit_limit=Decimal(5)))
    assert told.ask() == OK
    told.desk.spend(5, "p")
    assert told.ask() == refused("exhausted", "p")


def test_the_lowest_level_that_refuses_is_named() -> None:
    assert Told(*chain(2, status="CLOSED"), account("c", parent_id="p1", status="SUSPENDED")).ask() == refused(
        "suspended"
    )


def test_a_cache_that_ignores_parents_is_caught() -> None:
    """The control of the tests above: the same book without parents lets the customer through."""

    class Orphans(CreditBook):
        def fold_row(self, offset: int, value: bytes | None, now: float) -> None:
            row = row_of(value)
            changed = account(row.account_id) if isinstance(row, Account) and row.parent_id else row
            super().fold_row(offset, changed.to_value(), now)

    told = Told()
    told.book = Orphans()
    for offset, row in enumerate(chain(2, status="CLOSED")):
        told.book.fold_row(offset, row.to_value(), NOON.timestamp())
    assert told.ask() != refused("closed", "p1")


def test_the_budget_of_a_part_refuses_that_part_until_its_window_ends() -> None:
    told = Told(budget("c", "KEY", "k1", "DAY", 5), budget("c", "MODEL", "m", "LIFETIME", 7))
    told.desk.spend(5, scope="KEY", scope_id="k1")
    told.desk.spend(6, scope="MODEL", scope_id="m")
    assert told.ask(api_key="k1") == refused("budget")
    assert [told.ask(api_key="k2"), told.ask(project="k1"), told.ask(model="m"), told.ask()] == [OK] * 4
    midnight = NOON.replace(hour=0) + DAY
    assert told.ask(api_key="k1", at=midnight - timedelta(microseconds=1)) == refused("budget")
    assert told.ask(api_key="k1", at=midnight) == OK
    told.desk.spend(1, scope="MODEL", scope_id="m")
    assert told.ask(model="m", at=NOON + 400 * DAY) == refused("budget")


def test_budgets_of_projects_and_end_users() -> None:
    told = Told(budget("c", "PROJECT", "p", "MONTH", 5), budget("c", "END_USER", "u", "WEEK", 5))
    told.desk.spend(5, scope="PROJECT", scope_id="p")
    told.desk.spend(5, scope="END_USER", scope_id="u")
    assert told.ask(project="p") == told.ask(end_user="u") == refused("budget")
    assert told.ask(project="u", end_user="p") == OK


def test_above_the_customer_only_budgets_of_models_count() -> None:
    told = Told(*chain(2), budget("p1", "MODEL", "m", "DAY", 5), budget("p1", "KEY", "k", "DAY", 5))
    told.desk.spend(5, "p1", scope="MODEL", scope_id="m")
    told.desk.spend(5, "p1", scope="KEY", scope_id="k", first_offset=99)
    assert told.ask(model="m") == refused("budget", "p1")
    assert told.ask(api_key="k").allowed, "a key of that name is another's"


def test_the_longer_of_two_windows_that_are_used_up_counts() -> None:
    told = Told(budget("c", "ACCOUNT", "c", "DAY", 5), budget("c", "ACCOUNT", "c", "MONTH", 5))
    told.desk.spend(5)
    assert told.ask() == refused("budget")
    assert told.ask(at=NOON + DAY) == refused("budget")
    assert told.ask(at=NOON + 10 * DAY) == OK, "December"


def test_a_budget_of_zero_refuses_before_anything_is_spent() -> None:
    told = Told(budget("c", "KEY", "k", "DAY", 0), budget("c", "KEY", "k", "MONTH", 5))
    assert (told.ask(api_key="k"), told.ask(api_key="other")) == (refused("budget"), OK)
    told.book.fold_row(9, budget("c", "KEY", "k", "DAY", 1).to_value(), NOON.timestamp())
    assert told.ask(api_key="k") == OK


def test_calls_without_a_price_refuse_where_the_operator_says_so() -> None:
    told = Told(prepaid(), rules=LedgerRules(unpriced_calls_max=0))
    told.desk.post(told.desk.entry(GRANT, 5))
    told.desk.spend(None, unpriced=1)
    assert told.ask() == refused("unpriced")


def test_rows_take_effect_in_their_time() -> None:
    told = Told(account("c"))
    for offset, (status, at) in enumerate(
        [("SUSPENDED", NOON + DAY), ("CLOSED", NOON + 2 * DAY), ("ACTIVE", NOON - DAY)]
    ):
        told.book.fold_row(offset + 1, account("c", status=status, effective_from=at).to_value(), NOON.timestamp())
    assert told.ask() == OK
    for days, expected in [(1, refused("suspended")), (2, refused("closed"))]:
        told.book.advance((NOON + days * DAY).timestamp())
        assert told.ask() == expected
    late: CatalogRow = account("c", effective_from=NOON)
    told.book.fold_row(9, late.to_value(), (NOON + 3 * DAY).timestamp())
    assert told.ask() == refused("closed"), "a row with an earlier time replaces nothing"


def test_a_row_that_opens_an_account_counts_before_the_ledger_has_seen_it() -> None:
    told = Told(account("c", status="SUSPENDED"))
    told.desk.spend(1)
    assert told.ask() == refused("suspended")
    told.book.fold_row(1, account("c").to_value(), NOON.timestamp())
    assert told.ask() == OK


def test_a_call_that_costs_nothing_needs_no_credit_but_an_open_account() -> None:
    told = Told(prepaid(), account("s", status="SUSPENDED"))
    assert told.ask(free=True) == OK
    assert told.ask("s", free=True) == refused("suspended", "s")


def test_fail_modes() -> None:
    assert Told().ask("nobody") == Answer(True, "unknown", "nobody")
    assert Told(unknown="refuse").ask("nobody") == refused("unknown", "nobody")
    told = Told(
        account("c", parent_id="p"), account("p", status="CLOSED"), prepaid("c", parent_id="p"), exhausted="allow"
    )
    assert told.ask() == refused("closed", "p"), "what is only told hides no level that refuses"
    assert Told(prepaid(), exhausted="allow").ask() == Answer(True, "exhausted", "c")
    for wrong in ({"exhausted": "maybe"}, {"no_such": "allow"}):
        with pytest.raises(Misconfigured, match="fail mode"):
            CreditBook(wrong)
    assert fail_modes(" stale=refuse, unknown = allow,") == {"stale": "refuse", "unknown": "allow"}
    assert fail_modes("") == {}
    with pytest.raises(Misconfigured, match="fail mode"):
        fail_modes("stale")


def test_an_account_that_is_gone_and_what_is_no_state() -> None:
    told = Told()
    told.desk.spend(1)
    assert told.ask() == OK
    with pytest.raises(Poison):
        told.book.fold_state("c", account("c").to_value())
    with pytest.raises(Poison):
        told.book.fold_state("c", told.desk.states["c"][:40])
    assert told.ask() == OK, "the last state counts"
    told.book.fold_state("c", None)
    assert told.book.answer("c", 0.0) == Answer(True, "unknown", "c")
