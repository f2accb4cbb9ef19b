"""Entries by hand, whoever asks: ``tokenmeter credit`` and ``POST /v1/credit`` make them here, in the same way.

An order over HTTP is {"account_id", "kind": "grant" | "payment" | "adjustment" | "invoice" | "void", "entry_id",
"amount": "12.50", ...}. Its ``entry_id`` counts once: an order that was cut off is sent again as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tokenmeter.events.catalog import Account
from tokenmeter.events.errors import Misconfigured, TokenmeterError
from tokenmeter.events.ledger import EntryKind, LedgerEntry
from tokenmeter.kafka.logreader import KafkaLogReader, LogReader
from tokenmeter.stack.credit import shown
from tokenmeter.stack.credit.book import Booked, NotBooked, book
from tokenmeter.stack.credit.make import amount_of, entry, reversal
from tokenmeter.stack.credit.read import journal, states
from tokenmeter.stack.prices.reader import read_catalog

WAIT_S = 10.0
MADE_BY = "admin, gateway"

Outcome = tuple[int, dict[str, Any]]
"""HTTP status, and what is answered."""


class Order(BaseModel):
    """What is asked over HTTP. Amounts are text: a number of JSON may have lost digits on its way."""

    model_config = ConfigDict(extra="forbid", strict=True)

    account_id: Annotated[str, Field(min_length=1)]
    kind: Literal["grant", "payment", "adjustment", "invoice", "void"]
    entry_id: Annotated[str, Field(min_length=1)]
    amount: str | None = None
    voids: str | None = None
    reference: str | None = None
    note: str | None = None
    priority: int | None = None
    promotional: bool | None = None
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = None

    def terms(self) -> dict[str, Any]:
        """What the entry says beside its account, kind and id. Misconfigured where that does not go together."""
        given = {name: value for name in _TERMS if (value := getattr(self, name)) is not None}
        unknown = set(given) - _TERMS_OF[self.kind]
        if unknown:
            raise Misconfigured(f"{self.kind} has no {', '.join(sorted(unknown))}")
        if (self.amount is None) != (self.kind == "void") or (self.voids is None) == (self.kind == "void"):
            raise Misconfigured("void needs voids and no amount; any other kind an amount and no voids")
        if self.amount is not None:
            given["billed_amount" if self.kind == "invoice" else "amount"] = amount_of(self.amount)
        return given


_TERMS = ("reference", "note", "priority", "promotional", "expires_at")
_TERMS_OF = {
    "grant": {"note", "priority", "promotional", "expires_at"},
    "payment": {"note", "priority", "expires_at", "reference"},
    "adjustment": {"note"},
    "invoice": {"note", "reference"},
    "void": {"note"},
}


def currency_of(log: LogReader, account_id: str) -> str | None:
    """The account's own, which is kept from its first entry on. None: neither the ledger nor the catalog knows it."""
    state = states(log, account_id).get(account_id)
    if state is not None:
        return state.currency
    row = read_catalog(log).find(Account, (account_id,), datetime.now(UTC))
    return None if row is None else row.currency


def reversal_of(log: LogReader, account_id: str, entry_id: str) -> dict[str, Any]:
    """What a VOID of the account's entry ``entry_id`` says. Misconfigured when there is nothing to take back."""
    return reversal(states(log, account_id).get(account_id), journal(log, account_id), account_id, entry_id)


def desk_of(client: Mapping[str, Any], wait_s: float = WAIT_S) -> Callable[[dict[str, Any]], Outcome]:
    """Carries out orders that come over HTTP:

    200   booked, or ``repeated``: it had counted before
    202   written, not booked within ``wait_s``: send it again to hear what became of it
    409   refused by the ledger, and why
    422   no order
    503   it may not have been written: send it again
    """

    def carry_out(order: dict[str, Any]) -> Outcome:
        try:
            asked = Order.model_validate(order)
        except ValidationError as error:
            first = error.errors()[0]
            return 422, {"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}
        named = {"account_id": asked.account_id, "entry_id": asked.entry_id}
        try:
            return _outcome(named, book(client, _entry(client, asked), wait_s))
        except NotBooked as error:
            return 202, {**named, "booked": False, "error": error.message}
        except Misconfigured as error:
            return 422, {**named, "error": error.message}
        except TokenmeterError as error:
            return 503, {**named, "error": error.message}

    return carry_out


def _entry(client: Mapping[str, Any], asked: Order) -> LedgerEntry:
    terms, log, kind = asked.terms(), KafkaLogReader(client), EntryKind(asked.kind.upper())
    if asked.voids is not None:
        terms |= reversal_of(log, asked.account_id, asked.voids)
    else:
        terms["currency"] = currency_of(log, asked.account_id) or "USD"
    return entry(asked.account_id, kind, asked.entry_id, datetime.now(UTC), MADE_BY, **terms)


def _outcome(named: dict[str, Any], booked: Booked) -> Outcome:
    if booked.refusal is not None:
        return 409, {**named, "booked": False, "error": booked.refusal.sentence, "kind": booked.refusal.kind}
    state = None if booked.state is None else shown.as_json(booked.state)
    return 200, {**named, "booked": True, "repeated": booked.repeated, "state": state}
