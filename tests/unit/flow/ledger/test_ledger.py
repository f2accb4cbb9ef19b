"""Drawdown order, exposure, forecast, voids, expiries and changes of the catalog, each on its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from support.catalog_rows import account
from support.ledger_desk import Desk, budget, lines, prepaid
from tokenmeter.flow.ledger.terms import MemoryTerms


def remaining(desk: Desk) -> dict[str, Decimal]:
    return {grant["grant_id"]: grant["remaining"] for grant in desk.state()["grants"]}


def test_grants_are_drawn_by_priority_then_expiry_then_promotional_then_age() -> None:
    desk = Desk(prepaid())
    soon, later = desk.at + timedelta(days=1), desk.at + timedelta(days=2)
    desk.post(
        desk.entry("PAYMENT", 1, entry_id="old"),
        desk.entry("PAYMENT", 1, entry_id="young"),
        desk.entry("GRANT", 1, entry_id="given", promotional=True),
        desk.entry("GRANT", 1, entry_id="later", expires_at=later),
        desk.entry("GRANT", 1, entry_id="soon", expires_at=soon),
        desk.entry("GRANT", 1, entry_id="last", priority=1, expires_at=soon),
        desk.entry("GRANT", 1, entry_id="first", priority=-1),
    )
    order = []
    for _ in range(7):
        desk.spend(1)
        order += [name for name, left in remaining(desk).items() if not left and name not in order]
    assert order == ["first", "soon", "later", "given", "old", "young", "last"]


def test_a_correction_gives_back_what_was_drawn_last() -> None:
    desk = Desk(prepaid())
    desk.post(desk.entry("PAYMENT", 1, entry_id="a"), desk.entry("PAYMENT", 1, entry_id="b"))
    desk.spend("2.5")
    desk.post(desk.charge("-1"))
    assert (remaining(desk), desk.state()["overdraft"]) == ({"a": 0, "b": Decimal("0.5")}, 0)


def test_the_exposure_of_a_postpaid_account_is_unbilled_and_billed_unpaid() -> None:
    desk = Desk(account("c", credit_limit=Decimal(100)))
    desk.spend(60)
    desk.post(desk.entry("INVOICE", billed_amount=Decimal(60), reference="inv-1"))
    assert lines(desk.spend(20)) == ["80"]
    state = desk.state()
    assert (state["used"], state["billed_unpaid"], state["unbilled"], state["balance"]) == (80, 60, 20, -80)
    assert lines(desk.post(desk.entry("PAYMENT", 60))) == ["resolved 2"]
    state = desk.state()
    assert (state["used"], state["billed_unpaid"], state["unbilled"]) == (20, 0, 20)
    assert lines(desk.spend(80)) == ["50", "80", "95", "100"]
    assert desk.state()["reason"] == "exhausted"


def test_a_forecast_fires_when_the_credit_ends_within_a_day_at_the_rate_of_an_hour() -> None:
    desk = Desk(prepaid())
    desk.post(desk.entry("PAYMENT", 100))
    desk.spend(4)
    desk.pass_time(minutes=5)
    [alert] = desk.spend(0)
    assert (alert.kind, alert.seen, alert.projected_at) == ("forecast", 4, desk.at + timedelta(hours=24))
    assert lines(desk.post(desk.entry("PAYMENT", 1))) == ["resolved 1"]
    desk.pass_time(hours=2)
    assert desk.spend(0) == []


def test_a_void_takes_an_entry_back_once_and_whole() -> None:
    desk = Desk(prepaid())
    payment = desk.entry("PAYMENT", 10, entry_id="p")
    desk.post(payment, desk.charge(4))
    assert lines(desk.post(desk.entry("VOID", -9, voids="p"))) == ["conflict"]
    desk.post(desk.entry("VOID", -10, voids="p"))
    assert desk.state()["balance"] == -4
    assert lines(desk.post(desk.entry("VOID", -10, voids="p"))) == ["conflict"]
    assert lines(desk.post(desk.entry("VOID", 1, voids="nobody"))) == ["conflict"]
    assert desk.state()["balance"] == -4


def test_a_voided_charge_leaves_its_budget_window_too() -> None:
    desk = Desk(budget("c", "ACCOUNT", "c", "DAY", 10))
    charge = desk.charge(10)
    desk.post(charge)
    told = desk.post(
        desk.entry("VOID", 10, voids=charge.entry_id, occurred_day=charge.occurred_day, calls=-1),
    )
    assert lines(told) == ["resolved 4"]
    [window] = desk.state()["windows"]
    assert (window["spent"], desk.state()["charged"], desk.state()["calls"]) == (0, 0, 0)


def test_an_expiry_is_written_once_and_takes_what_was_left() -> None:
    desk = Desk(prepaid())
    desk.post(
        desk.entry("GRANT", 10, entry_id="short", expires_at=desk.at + timedelta(hours=1)),
        desk.entry("PAYMENT", 5, entry_id="paid"),
    )
    desk.spend(2)
    desk.restart()
    desk.pass_time(hours=1)
    desk.spend(0)
    [expiry] = desk.ledger.expire()
    desk.restart()
    desk.spend(0)
    assert desk.ledger.expire() == []
    desk.spend(3)
    desk.post(expiry)
    assert (remaining(desk), desk.state()["balance"]) == ({"paid": 2}, 2)


def test_amounts_of_two_currencies_are_never_added() -> None:
    desk = Desk(prepaid())
    desk.post(desk.entry("PAYMENT", 5))
    assert lines(desk.post(desk.charge(1, currency="EUR"))) == ["conflict"]
    assert (desk.state()["balance"], desk.state()["charged"]) == (5, 0)


def test_a_new_limit_in_the_catalog_is_judged_at_once() -> None:
    desk = Desk(account("c", credit_limit=Decimal(10)), budget("c", "ACCOUNT", "c", "MONTH", 10))
    desk.spend(8)
    assert lines(desk.spend(2)) == ["95", "100", "95", "100"]
    desk.ledger._books._terms = MemoryTerms([account("c", credit_limit=Decimal(100))], [])
    told = desk.ledger.reconsider(["c", "nobody"], round(desk.at.timestamp() * 1_000), "row")
    assert lines(told) == ["resolved 4", "resolved 4"]


def test_an_alert_names_the_page_that_crossed_the_line_however_the_entries_are_cut() -> None:
    desk = Desk(prepaid())
    desk.post(desk.entry("PAYMENT", 10))
    desk.spend(0)
    charges = [desk.charge(3) for _ in range(3)]
    told = desk.post(*charges)
    assert [(one.threshold_percent, one.first_offset, one.seen) for one in told] == [
        (50, charges[1].first_offset, 6),
        (80, charges[2].first_offset, 9),
    ]
