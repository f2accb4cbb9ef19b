"""The cases of credit and alerts on which systems of this kind have failed: each with the answer that is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from support.ledger_desk import Desk, budget, lines, prepaid
from tokenmeter.events.ledger import LedgerEntry
from tokenmeter.flow.ledger.terms import LedgerRules

PICO = Decimal(1).scaleb(-12)


def with_credit(amount: int = 10, **fields: object) -> Desk:
    desk = Desk(prepaid(**fields))
    desk.post(desk.entry("PAYMENT", amount))
    return desk


def in_one_page(desk: Desk, amount: Decimal, parts: int) -> list[str]:
    """``amount`` in equal charges of one batch: the columns' way, once the account is known."""
    desk.spend(0)
    return lines(desk.post(*(desk.charge(amount / parts) for _ in range(parts))))


@pytest.mark.parametrize(
    ("spent", "fired"),
    [(Decimal(8), ["50", "80"]), (Decimal(8) - 8 * PICO, ["50"]), (Decimal(10), ["50", "80", "95", "100"])],
)
def test_c02_a_threshold_fires_exactly_at_its_line(spent: Decimal, fired: list[str]) -> None:
    desk = with_credit(10)
    assert in_one_page(desk, spent, 8) == fired
    assert desk.state()["allowed"] is (spent < 10)
    assert desk.state()["reason"] == ("ok" if spent < 10 else "exhausted")


def test_c02_one_pico_below_the_line_is_below_it() -> None:
    desk = with_credit(10)
    assert lines(desk.spend(Decimal("7.999999999999"))) == ["50"]
    assert lines(desk.spend(PICO)) == ["80"]


def test_c04_a_page_that_spans_midnight_fires_the_new_month_once_and_resolves_nothing() -> None:
    desk = Desk(prepaid(thresholds_percent=(80, 95)), budget("c", "ACCOUNT", "c", "MONTH", 100))
    desk.post(desk.entry("PAYMENT", 10_000))
    november, december = datetime(2026, 11, 30, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    desk.at = november + timedelta(hours=23)
    assert lines(desk.spend(96)) == ["80", "95"]
    desk.at = december + timedelta(milliseconds=200)
    page = [desk.charge(1, occurred_day=november, line=0), desk.charge(85, occurred_day=december, line=1)]
    told = desk.post(*page)
    assert [(one.threshold_percent, one.window) for one in told] == [(80, "2026-12")]
    assert desk.spend(1) == []
    desk.pass_time(days=3)
    assert desk.spend(1) == []
    assert {window["window"] for window in desk.state()["windows"]} == {"2026-12"}


def test_c05_a_top_up_resolves_what_recovered_in_one_record_and_re_arms_it() -> None:
    desk = with_credit(10)
    fired = {alert.threshold_percent: alert.alert_id for alert in desk.spend(10)}
    [resolved] = desk.post(desk.entry("PAYMENT", "2.5"))
    assert set(resolved.resolves) == {fired[95], fired[100]}
    [resolved] = desk.post(desk.entry("PAYMENT", 1))
    assert resolved.resolves == (fired[80],)
    assert desk.post(desk.entry("PAYMENT", "0.5")) == []
    [again] = desk.spend("1.2")
    assert again.threshold_percent == 80
    assert again.alert_id != fired[80]


@pytest.mark.parametrize("scope", ["ACCOUNT", "PROJECT", "KEY", "END_USER", "MODEL"])
@pytest.mark.parametrize(("window", "days"), [("DAY", 1), ("WEEK", 4), ("MONTH", 5)])
def test_c08_spent_is_zero_right_after_the_boundary(scope: str, window: str, days: int) -> None:
    scope_id = "c" if scope == "ACCOUNT" else "x"
    of = {} if scope == "ACCOUNT" else {"scope": scope, "scope_id": "x"}
    desk = Desk(budget("c", scope, scope_id, window, 10))
    boundary = datetime(2026, 11, 26, tzinfo=UTC) + timedelta(days=days)
    desk.at = boundary - timedelta(milliseconds=1)
    assert lines(desk.spend(10, **of)) == ["50", "80", "95", "100"]
    [before] = desk.state()["windows"]
    assert (before["spent"], before["allowed"], before["ends_at"]) == (10, False, boundary)
    desk.at = boundary
    assert desk.spend(1, **of) == []
    spent = {one["ends_at"]: one["spent"] for one in desk.state()["windows"]}
    assert spent[boundary] == 10
    assert sorted(spent.values()) == [1, 10]
    if scope == "ACCOUNT":
        assert desk.state()["allowed"] is True


@pytest.mark.parametrize(("window", "days"), [("DAY", 1), ("WEEK", 4), ("MONTH", 5)])
def test_c08_a_distributor_counts_what_its_customers_use_of_its_windows(window: str, days: int) -> None:
    desk = Desk(budget("distributor", "ACCOUNT", "distributor", window, 10))
    assert lines(desk.post(*(desk.charge(2, "distributor", level=1) for _ in range(5)))) == ["50", "80", "95", "100"]
    boundary = datetime(2026, 11, 26, tzinfo=UTC) + timedelta(days=days)
    state = desk.state("distributor")
    assert (state["reason"], state["refused_until"]) == ("budget", boundary)
    desk.at = boundary
    assert desk.spend(1, "distributor", level=1) == []
    assert desk.state("distributor")["reason"] == "ok"
    assert {one["ends_at"]: one["spent"] for one in desk.state("distributor")["windows"]}[boundary] == 10


def test_c10_a_rotated_key_keeps_its_budget_because_both_secrets_are_one_key() -> None:
    desk = Desk(budget("c", "KEY", "key", "MONTH", 10))
    desk.spend(6, scope="KEY", scope_id="key")
    assert lines(desk.spend(4, scope="KEY", scope_id="key")) == ["80", "95", "100"]
    state = desk.state()
    assert [(one["scope_id"], one["spent"], one["allowed"]) for one in state["windows"]] == [("key", 10, False)]
    assert (state["allowed"], state["balance"]) == (True, 0)


@pytest.mark.parametrize(("most", "reason"), [(None, "ok"), (100, "unpriced")])
def test_c12_unpriced_calls_alert_once_are_not_charged_and_follow_the_stated_policy(
    most: int | None, reason: str
) -> None:
    desk = Desk(prepaid(), rules=LedgerRules(unpriced_calls_max=most))
    desk.post(desk.entry("PAYMENT", 1))
    told = desk.post(*(desk.charge(None, calls=100, unpriced=100) for _ in range(100)))
    assert lines(told) == ["unpriced"]
    state = desk.state()
    assert (state["unpriced"], state["charged"], state["balance"], state["reason"]) == (10_000, 0, 1, reason)
    told = desk.post(desk.charge("0.9", calls=0, unpriced=-10_000))
    assert lines(told) == ["50", "80", "resolved 1"]
    assert desk.spend(0) == []
    assert desk.state()["reason"] == "ok"


def test_c12_provisional_charges_draw_on_credit() -> None:
    desk = with_credit(10)
    assert lines(desk.spend(8, provisional_amount=Decimal(-8))) == ["50", "80"]
    assert desk.state()["provisional"] == 8


def test_c14_what_was_in_flight_is_counted_whole_and_refuses_the_next() -> None:
    desk = with_credit(10)
    assert in_one_page(desk, Decimal(50), 50) == ["50", "80", "95", "100"]
    state = desk.state()
    assert (state["balance"], state["overdraft"], state["allowed"]) == (-40, 40, False)


def test_c17_the_state_is_the_sum_of_the_entries_whatever_is_restarted() -> None:
    desk = with_credit(10)
    for number in range(10):
        desk.spend(number)
        desk.restart()
    state = desk.state()
    assert state["balance"] == sum(entry.amount or 0 for entry in desk.entries)
    assert state["charged"] == sum(-(entry.amount or 0) for entry in desk.entries if entry.kind == "CHARGE")


@pytest.mark.parametrize("restarted", [False, True])
def test_c18_an_entry_counts_once_and_its_id_and_reference_are_its_own(restarted: bool) -> None:
    desk = Desk(prepaid())
    entry = desk.entry("PAYMENT", 5, entry_id="p1", reference="bank-7")
    assert desk.post(entry, entry) == []
    if restarted:
        desk.restart()
    assert desk.post(entry.model_copy(update={"made_at": desk.at + timedelta(seconds=1)})) == []
    assert lines(desk.post(entry.model_copy(update={"amount": Decimal(6)}))) == ["conflict"]
    assert lines(desk.post(entry.model_copy(update={"entry_id": "p2"}))) == ["conflict"]
    charge = desk.charge(1)
    desk.post(charge, charge)
    if restarted:
        desk.restart()
    desk.post(charge)
    assert (desk.state()["balance"], desk.state()["version"]) == (4, 2)


def test_c18_an_entry_so_old_that_it_may_be_forgotten_is_refused() -> None:
    desk = Desk(prepaid())
    old = desk.entry("PAYMENT", 5)
    desk.post(old)
    desk.pass_time(days=91)
    desk.spend(1)
    assert desk.state()["entries"] == []
    assert lines(desk.post(old)) == ["invalid"]
    assert desk.state()["balance"] == 4


def left_of(desk: Desk) -> Decimal:
    state = desk.state()
    total: Decimal = sum(grant["remaining"] for grant in state["grants"]) - state["overdraft"]
    assert total == state["balance"] == sum(entry.amount or 0 for entry in desk.entries)
    return total


def monthly(desk: Desk, ends: datetime) -> LedgerEntry:
    return desk.entry("GRANT", 100, expires_at=ends, promotional=True)


def test_c20_a_grant_added_and_voided_leaves_no_trace_and_overdraft_is_paid_next_month() -> None:
    desk = Desk(prepaid())
    desk.at = datetime(2026, 11, 1, tzinfo=UTC)
    desk.post(monthly(desk, datetime(2026, 12, 1, tzinfo=UTC)))
    desk.pass_time(days=14)
    extra = desk.entry("GRANT", 50)
    desk.post(extra)
    assert left_of(desk) == 150
    desk.post(desk.entry("VOID", -50, voids=extra.entry_id))
    assert (left_of(desk), desk.state()["granted"]) == (100, 100)
    desk.spend(103)
    assert (left_of(desk), desk.state()["allowed"]) == (-3, False)
    desk.at = datetime(2026, 12, 1, tzinfo=UTC)
    desk.spend(0)
    assert desk.expire() == []  # nothing is left of it
    assert left_of(desk) == -3
    told = desk.post(monthly(desk, datetime(2027, 1, 1, tzinfo=UTC)))
    assert lines(told) == ["resolved 4"]
    assert (left_of(desk), desk.state()["granted"], desk.state()["used"]) == (97, 100, 3)


def test_c21_each_refusal_of_an_account_has_a_reason_of_its_own() -> None:
    desk = Desk(prepaid("exhausted"), prepaid("expired"), prepaid("suspended", status="SUSPENDED"), prepaid("fine"))
    desk.post(*(desk.entry("GRANT", 5, name, entry_id=name) for name in ("exhausted", "suspended", "fine")))
    ends = desk.at + timedelta(hours=1)
    desk.post(desk.entry("GRANT", 5, "expired", entry_id="short", expires_at=ends))
    desk.spend(5, "exhausted")
    desk.pass_time(hours=1)
    desk.spend(0, "fine")
    desk.expire()
    assert {name: desk.state(name)["reason"] for name in ("exhausted", "expired", "suspended", "fine")} == {
        "exhausted": "exhausted",
        "expired": "expired",
        "suspended": "suspended",
        "fine": "ok",
    }
    desk.post(desk.entry("PAYMENT", 1, "expired"))
    assert desk.state("expired")["reason"] == "ok"
