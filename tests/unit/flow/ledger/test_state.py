"""What the ledger writes every reader reads, and what it reads again is all it knew."""

from __future__ import annotations

import random
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pytest

from support.ledger_desk import Desk, prepaid
from support.random_ledger import Journal, accounts, budgets
from tokenmeter.events import wire
from tokenmeter.events.contract import latest
from tokenmeter.events.ledger import AccountState, LedgerEntry
from tokenmeter.flow.columns.decode import decode
from tokenmeter.flow.ledger import avro
from tokenmeter.flow.ledger.ledger import Ledger
from tokenmeter.flow.ledger.restore import accounts_of
from tokenmeter.flow.ledger.terms import MemoryTerms

TERMS = MemoryTerms(accounts(), budgets())


def drawn(seed: int) -> tuple[Ledger, list[bytes]]:
    """A ledger after a random journal, and the states of it."""
    journal = list(Journal(random.Random(seed)).draw(150))[:150]
    ledger = Ledger(TERMS)
    times = np.array([round(at.timestamp() * 1_000) for _, at in journal])
    ledger.fold([entry.to_value() for entry, _ in journal], times, np.arange(len(journal)))
    return ledger, ledger.close(150)[1]


@pytest.mark.parametrize("seed", range(5))
def test_a_state_reads_the_same_one_by_one_in_columns_and_as_a_model(seed: int) -> None:
    _, values = drawn(seed)
    one_by_one = [wire.decode(value, expect="account_state").record for value in values]
    many = decode(values * 5, "account_state")
    assert many.rejected == []
    in_columns = many.frame[: len(values)].drop("_index").to_dicts()
    assert in_columns == one_by_one
    for record, value in zip(one_by_one, values, strict=True):
        AccountState.model_validate(record)
        assert wire.encode("account_state", record) == value


@pytest.mark.parametrize("seed", range(5))
def test_a_restored_ledger_writes_the_states_it_read(seed: int) -> None:
    ledger, values = drawn(seed)
    restored = Ledger(TERMS)
    restored.restore(values)
    assert len(restored) == len(ledger)
    for account_id, account in restored._books.accounts.items():
        known = ledger._books.accounts[account_id]
        for field in fields(account):
            if field.compare and field.name != "grants":  # the ages of grants are told by their order
                assert getattr(account, field.name) == getattr(known, field.name), field.name
    restored._books.changed = dict(restored._books.accounts)
    assert sorted(restored.close(150)[1]) == sorted(values)


def test_a_state_that_cannot_be_read_is_said_and_stops_nobody() -> None:
    states = drawn(1)[1]
    accounts, _, rejected = accounts_of([states[0], states[0][:-1]])
    assert len(accounts) == 1 and [bad.index for bad in rejected] == [1]


def test_nested_records_have_the_fields_of_their_models() -> None:
    for field in latest("account_state").document["fields"]:
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "array":
            model = get_args(AccountState.model_fields[field["name"]].annotation)[0]
            inner = {one["name"]: one["type"] for one in kind["items"]["fields"]}
            assert list(inner) == list(model.model_fields)
            nullable = {name for name, one in inner.items() if isinstance(one, list)}
            assert nullable == {n for n, info in model.model_fields.items() if type(None) in get_args(info.annotation)}


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, -64, -65, 127, 128, -128, -129, 255, 2**31, 2**63 - 1, -(2**63)])
def test_numbers_and_decimals_are_the_bytes_that_the_record_encoder_writes(number: int) -> None:
    record = wire.decode(drawn(1)[1][0]).record
    amount = Decimal(f"{number}E-12")
    value = wire.encode("account_state", {**record, "version": number, "balance": amount})
    head = wire.prefix(latest("account_state")) + avro.text(record["account_id"]) + avro.text(record["currency"])
    assert value.startswith(head + avro.number(number))
    assert avro.decimal(number) in value


def test_an_entry_reads_the_same_in_columns_and_in_one_by_one() -> None:
    desk = Desk(prepaid())
    entries = [desk.entry("PAYMENT", "1.5", reference="r"), desk.charge("0.1", scope="KEY", scope_id="k")] * 10
    values = [entry.to_value() for entry in entries]
    frame = decode(values, "ledger_entry").frame.drop("_index")
    assert frame.to_dicts() == [wire.decode(value).record for value in values]
    assert [LedgerEntry.model_validate(row) for row in frame.to_dicts()] == entries


def test_an_alert_survives_the_wire_and_is_read_in_columns() -> None:
    desk = Desk(prepaid())
    desk.post(desk.entry("PAYMENT", 1))
    values = [alert.to_value() for alert in desk.spend(1)] * 10
    frame = decode(values, "alert").frame.drop("_index")
    assert frame.to_dicts() == [wire.decode(value).record for value in values]
    first: dict[str, Any] = frame.row(0, named=True)
    assert (first["topic"], first["first_offset"], first["last_offset"]) == ("usage.events", 10, 19)
    assert first["sentence"] == "c has used 1 of 1 USD: 50 %"
    assert isinstance(first["broker_at"], datetime)
