"""Each rule a row must keep before it is written: a set of rows that breaks it, and the nearest that does not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from support.catalog_rows import account, plan, price
from tokenmeter.events.catalog import Budget, Price
from tokenmeter.events.catalog_row import BudgetScope, BudgetWindow, CatalogRow
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import changes
from tokenmeter.stack.prices.proposed import Place, Proposed, Rejected
from tokenmeter.stack.prices.terms import price_of
from tokenmeter.stack.prices.validate import problems

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)


def said(*rows: CatalogRow, known: tuple[CatalogRow, ...] = (), tokens: tuple[str, ...] = ()) -> list[str]:
    """The problems of rows that stand on lines 1, 2, ... of file f."""
    proposed = [Proposed(row, Place("f", line)) for line, row in enumerate(rows, 1)]
    return [str(one) for one in problems(Catalog().extended(known), proposed, tokens)]


def chain(length: int, **fields: Any) -> list[CatalogRow]:
    """Accounts a1 ← a2 ← ... ← aLENGTH, each paying the one before it."""
    return [account(f"a{n}", parent_id=f"a{n - 1}" if n > 1 else None, **fields) for n in range(1, length + 1)]


def test_two_prices_with_nothing_to_choose_between_them_are_refused() -> None:
    morning = {"window_start_minute": 480, "window_end_minute": 720}
    noon = {"window_start_minute": 660, "window_end_minute": 840}
    after = {"window_start_minute": 720, "window_end_minute": 840}
    assert len(said(price(**morning), price(**noon))) == 1
    assert "f:1: price book=list, model=a/one" in said(price(**morning), price(**noon))[0]
    assert "would both price the same calls" in said(price(**morning), price(**noon))[0]
    assert said(price(**morning), price(**after)) == []
    assert said(price(**morning), price("a/two", **noon)) == []
    assert said(price(**morning), price(**noon, service_tier="flex")) == []
    assert said(price(**morning), price(**noon, min_input_tokens=5)) == []
    assert said(price(**morning), price(**noon, withdrawn=True)) == []


def test_windows_over_midnight_belong_to_the_day_on_which_they_start() -> None:
    friday_night = {"window_start_minute": 1320, "window_end_minute": 120, "weekdays": 0b001_0000}
    saturday_early = {"window_start_minute": 60, "window_end_minute": 180, "weekdays": 0b010_0000}
    sunday_early = {**saturday_early, "weekdays": 0b100_0000}
    assert len(said(price(**friday_night), price(**saturday_early))) == 1
    assert said(price(**friday_night), price(**sunday_early)) == []
    sunday_night = {**friday_night, "weekdays": 0b100_0000}
    monday_early = {**saturday_early, "weekdays": 0b000_0001}
    assert len(said(price(**sunday_night), price(**monday_early))) == 1


def test_weekdays_without_a_window_tie_only_where_they_meet_and_are_as_many() -> None:
    assert len(said(price(weekdays=0b000_0011), price(weekdays=0b000_0110))) == 1
    assert said(price(weekdays=0b000_0011), price(weekdays=0b000_0100)) == []
    assert said(price(weekdays=0b000_0011), price(weekdays=0b000_1100)) == []


def test_a_tie_with_what_is_in_force_or_comes_is_refused_too() -> None:
    night = {"window_start_minute": 1320, "window_end_minute": 120}
    late = {"window_start_minute": 1380, "window_end_minute": 60}
    known = price(**night)
    (one,) = said(price(**late, effective_from=JUNE), known=(known,))
    assert "which is in force, would both price the same calls from 2026-06-01 00:00 on" in one
    gone = price(**night, effective_from=JUNE, withdrawn=True)
    assert said(price(**late, effective_from=JUNE), known=(known, gone)) == []
    assert said(price(**late, effective_from=JULY), gone, known=(known,)) == []
    assert len(said(price(**late), known=(price(**night, effective_from=JULY),))) == 1


def test_an_old_tie_is_not_blamed_on_other_rows() -> None:
    tied = (price(weekdays=0b000_0011), price(weekdays=0b000_0110))
    assert said(price("b/other"), known=tied) == []


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (price(currency="USX"), "USX"),
        (account("acme", currency="EURO"), "EURO"),
        (plan("p", currency="ABC"), "ABC"),
        (
            Budget(
                account_id="a",
                scope=BudgetScope.KEY,
                scope_id="k",
                window=BudgetWindow.DAY,
                amount=Decimal(1),
                currency="USD1",
                effective_from=JUNE,
            ),
            "USD1",
        ),
    ],
)
def test_an_unknown_currency_is_refused_unless_it_is_allowed_as_a_token(row: CatalogRow, code: str) -> None:
    (one,) = said(row)
    assert one.startswith("f:1: ")
    assert f"currency {code} is neither ISO 4217's" in one
    assert f"--token-currency {code}" in one
    assert said(row, tokens=(code,)) == []
    assert said(price(currency="CNY")) == said(account("b", currency="EUR")) == []


def test_accounts_in_a_circle_are_refused() -> None:
    circle = [account("a", parent_id="c"), account("b", parent_id="a"), account("c", parent_id="b")]
    assert said(*circle) == ["f:1: accounts go in a circle: a → c → b → a"]
    assert any("accounts go in a circle: a → a" in one for one in said(account("a", parent_id="a")))
    later = account("a1", parent_id="a3", effective_from=JUNE)
    assert any("in a circle" in one for one in said(later, known=tuple(chain(3))))
    assert said(*chain(3)) == []


def test_a_circle_that_closes_only_later_is_refused_now() -> None:
    """b moves below a in July; a moved below b in June would close the circle then."""
    known = (account("a"), account("b"), account("b", parent_id="a", effective_from=JULY))
    assert any("in a circle" in one for one in said(account("a", parent_id="b", effective_from=JUNE), known=known))
    back = account("b", effective_from=JULY)
    assert said(account("a", parent_id="b", effective_from=JUNE), known=(*known, back)) == []


def test_more_than_eight_accounts_in_a_chain_are_refused() -> None:
    assert said(*chain(8)) == []
    assert any("account a9 would have 8 accounts above it, 7 at most" in one for one in said(*chain(9)))
    # A parent put above a chain of eight makes its end too deep.
    above = account("a1", parent_id="top", effective_from=JUNE)
    found = said(account("top"), above, known=tuple(chain(8)))
    assert any("account a8 would have 8 accounts above it" in one for one in found)
    assert all(one.startswith("f:2: ") for one in found)


def test_an_unknown_parent_or_plan_is_refused() -> None:
    assert said(account("a", parent_id="b")) == ["f:1: parent b of account a is not there"]
    assert said(account("a", parent_id="b"), account("b")) == []
    assert said(account("a", plan_id="gold")) == ["f:1: plan gold of account a is not there"]
    assert said(account("a", plan_id="gold"), plan("gold")) == []
    early = account("a", plan_id="gold", effective_from=JUNE)
    assert said(early, plan("gold", effective_from=JULY)) == ["f:1: plan gold of account a is not there"]


def test_a_plan_of_another_currency_than_its_account_or_its_book_is_refused() -> None:
    euros = plan("euros", currency="EUR")
    assert said(account("a", plan_id="euros"), euros) == [
        "f:1: account a is in USD, its plan euros in EUR: nothing would be priced"
    ]
    assert said(account("a", plan_id="euros", currency="EUR"), euros) == []
    assert said(price(currency="USD"), euros) == [
        "f:2: plan euros is in EUR, its book list in USD: nothing would be priced"
    ]
    assert said(price(currency="USD"), price("a/two", currency="EUR"), euros) == []
    # The first prices of a book are refused where a plan that is in force waits for others.
    assert said(price(currency="USD"), known=(euros,)) == [
        "f:1: plan euros is in EUR, its book list in USD: nothing would be priced"
    ]
    assert (
        "account a on plan any is in CNY, its book list in USD"
        in said(price(currency="USD"), plan("any"), account("a", plan_id="any", currency="CNY"))[0]
    )


def test_a_negative_price_is_no_price() -> None:
    with pytest.raises(ValueError, match="input -1 is negative"):
        price_of({"model": "a/one", "input": "-1", "output": "1"}, JUNE)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Price(model="a/one", effective_from=JUNE, input_tokens_price=Decimal(-1))


def test_what_says_the_same_as_what_is_in_force_changes_nothing() -> None:
    known = Catalog().extended([price(units=3), price("b/other", units=1)])
    place = Place("f", 1)
    again = changes(known, [Proposed(price(units=3, effective_from=JUNE, note="from elsewhere"), place)])
    assert (again.rows, again.unchanged) == ([], 1)
    dearer = changes(known, [Proposed(price(units=4, effective_from=JUNE), place)])
    assert [(getattr(before, "model", ""), one.row.effective_from) for before, one in dearer.replaced] == [
        ("a/one", JUNE)
    ]
    assert len(changes(known, [Proposed(price(units=3, provider="host"), place)]).new) == 1


def test_one_import_may_not_say_two_things_of_one_price() -> None:
    rows = [Proposed(price(units=3), Place("f", 1)), Proposed(price(units=4), Place("f", 7))]
    (twice,) = changes(Catalog(), rows).twice
    assert str(twice) == "f:7: price book=list, model=a/one stands at f:1 with other terms"
    assert changes(Catalog(), [rows[0], Proposed(price(units=3), Place("f", 7))]).twice == []


def test_a_rejection_names_every_row_and_the_next_command() -> None:
    many = [Proposed(price(f"a/{n}", currency="USX"), Place("f", n)) for n in range(1, 31)]
    text = str(Rejected(problems(Catalog(), many)))
    assert "nothing was written: 30 problems" in text
    assert "f:1: price" in text
    assert "and 10 more" in text
    assert text.rstrip().endswith("(next: correct these and run the command again)")
