"""Entries made by hand are what the ledger books, and what is shown is what it wrote; no Kafka is needed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from support.ledger_desk import NOON, Desk, prepaid
from support.topic_log import TopicLog
from tokenmeter.events.contract import ACCOUNT_STATE, LEDGER
from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import EntryKind, LedgerEntry
from tokenmeter.stack.credit import shown
from tokenmeter.stack.credit.make import amount_of, entry, new_id, reversal
from tokenmeter.stack.credit.read import journal, state_in, states


class Counter:
    """A desk whose entries and states are on a log that the verbs read."""

    def __init__(self) -> None:
        self.desk = Desk(prepaid("c"), prepaid("cc"))
        self.log = TopicLog()

    def post(self, *entries: LedgerEntry) -> list[str]:
        told = self.desk.post(*entries)
        for one in entries:
            self.log.append(LEDGER, [one.account_id.encode()], [one.to_value()], 0)
            self.desk.state(one.account_id)
            self.log.append(ACCOUNT_STATE, [one.account_id.encode()], [self.desk.states[one.account_id]], 0)
        return [alert.kind for alert in told]

    def by_hand(
        self, kind: EntryKind, account_id: str = "c", entry_id: str | None = None, **fields: Any
    ) -> LedgerEntry:
        made = entry(account_id, kind, entry_id or new_id(kind), self.desk.at, "ada", **fields)
        assert not {"conflict", "invalid"} & {*self.post(made)}
        return made

    def void(self, entry_id: str) -> LedgerEntry:
        told = reversal(states(self.log, "c").get("c"), journal(self.log, "c"), "c", entry_id)
        return self.by_hand(EntryKind.VOID, **told)


@pytest.mark.parametrize("text", ["0", "0.00", "1e3", "1,5", "NaN", "0.1234567890123", "", "--1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="no amount"):
        amount_of(text)


def test_an_amount_keeps_every_digit() -> None:
    text = "-12345678901234567890123456.123456789012"
    assert str(amount_of(text)) == text


def test_an_entry_that_the_ledger_would_refuse_is_refused_before_it_is_written() -> None:
    with pytest.raises(Misconfigured, match="not positive"):
        entry("c", EntryKind.GRANT, "g", NOON, "ada", amount=Decimal(-1))


def test_grants_come_back_as_what_the_account_has() -> None:
    counter = Counter()
    ends = NOON + timedelta(days=3)
    counter.by_hand(EntryKind.GRANT, amount=Decimal(10), expires_at=ends, promotional=True, priority=2)
    counter.by_hand(EntryKind.GRANT, "cc", amount=Decimal(3))
    counter.post(counter.desk.charge("2.5"))
    found = states(counter.log)
    assert {name: state.balance for name, state in found.items()} == {"c": Decimal("7.5"), "cc": Decimal(3)}
    grant = found["c"].grants[0]
    assert (grant.remaining, grant.expires_at, grant.promotional, grant.priority) == (Decimal("7.5"), ends, True, 2)
    assert states(counter.log, "c") == {"c": found["c"]} and state_in(counter.log, 0, "c") == found["c"]
    assert [one.entry.kind for one in journal(counter.log, "c")] == ["GRANT", "CHARGE"]


@pytest.mark.parametrize("kind", [EntryKind.GRANT, EntryKind.PAYMENT, EntryKind.ADJUSTMENT])
def test_a_void_takes_an_entry_back_whole(kind: EntryKind) -> None:
    counter = Counter()
    # 29 digits: a minus sign on a Decimal would round them
    made = counter.by_hand(kind, amount=Decimal("12345678901234567.123456789012"))
    counter.void(made.entry_id)
    assert states(counter.log)["c"].balance == 0


def test_a_void_of_an_invoice_takes_back_what_was_billed() -> None:
    counter = Counter()
    made = counter.by_hand(EntryKind.INVOICE, billed_amount=Decimal(5))
    assert states(counter.log)["c"].billed_unpaid == 5
    counter.void(made.entry_id)
    assert states(counter.log)["c"].billed_unpaid == 0


def test_a_void_of_a_charge_takes_back_its_calls_too() -> None:
    counter = Counter()
    charge = counter.desk.charge("2.5", calls=7, provisional_amount=Decimal("-1.5"))
    counter.post(charge)
    counter.void(charge.entry_id)
    state = states(counter.log)["c"]
    assert (state.balance, state.charged, state.calls, state.provisional) == (0, 0, 0, 0)


def test_a_void_of_what_is_not_there_is_refused() -> None:
    counter = Counter()
    counter.by_hand(EntryKind.GRANT, amount=Decimal(1))
    with pytest.raises(Misconfigured, match="no entry nothing"):
        counter.void("nothing")


def test_what_is_no_entry_and_no_state_is_left_out() -> None:
    counter = Counter()
    made = counter.by_hand(EntryKind.GRANT, amount=Decimal(1))
    counter.log.append(LEDGER, [b"c"], [made.to_value()[:-3]], 0)
    assert len(journal(counter.log, "c")) == 1
    counter.log.append(ACCOUNT_STATE, [b"c"], [made.to_value()], 0)
    assert list(states(counter.log)) == ["c"]


def test_an_account_is_shown_with_its_verdict() -> None:
    counter = Counter()
    counter.by_hand(EntryKind.GRANT, amount=Decimal(10))
    counter.post(counter.desk.charge("10.5"))
    state = states(counter.log)["c"]
    assert shown.summary(state) == "c: balance -0.5 USD, used 10.5 of 10, refused: exhausted"
    assert shown.as_json(state)["balance"] == "-0.500000000000"
    assert len(shown.details(state)) == 2  # its grant and its open alerts
