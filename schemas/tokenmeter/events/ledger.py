"""The journal of every balance: its entries, the states they add up to, and alerts.

A balance is the sum of its account's entries without scope, so anybody may recompute it. An entry
counts once: a CHARGE by its position in ``usage.events`` (partition, first_offset, line), which only grows; any other
by its ``entry_id``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, model_validator

from tokenmeter.events import wire
from tokenmeter.events.catalog_row import BudgetScope, Currency
from tokenmeter.events.contract import EVENTS
from tokenmeter.events.models import Int32, Name, Record, Total, Usd

REMEMBERED_DAYS = 90
"""How long an entry that counted is remembered by its id: the retention of ``ledger.entries``."""
REMEMBERED_ENTRIES_MAX = 10_000
"""... and how many of one account, the latest; what is forgotten is refused by its ``made_at``, not counted again."""


class EntryKind(StrEnum):
    """What an entry is for; see ``ledger_entry``."""

    CHARGE = "CHARGE"
    GRANT = "GRANT"
    PAYMENT = "PAYMENT"
    ADJUSTMENT = "ADJUSTMENT"
    INVOICE = "INVOICE"
    VOID = "VOID"
    EXPIRY = "EXPIRY"


class Reason(StrEnum):
    """Why an account may call, or may not."""

    OK = "ok"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    BUDGET = "budget"
    UNPRICED = "unpriced"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class AlertState(StrEnum):
    """An OPEN alert is resolved later, a NOTICE never."""

    OPEN = "OPEN"
    RESOLVED = "RESOLVED"
    NOTICE = "NOTICE"


class AlertSeverity(StrEnum):
    """How loud an alert is."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


def charge_id(partition: int, first_offset: int, line: int) -> str:
    """The id of a CHARGE: the page of usage.events that made it, and its place among the page's entries."""
    return f"{EVENTS}/{partition}/{first_offset}/{line}"


class LedgerEntry(Record):
    """One entry of an account's journal. Building one raises ValidationError where the ledger would refuse it."""

    account_id: Name
    entry_id: Name
    kind: EntryKind
    amount: Usd | None = None
    billed_amount: Usd | None = None
    currency: Currency = "USD"
    provisional_amount: Usd | None = None
    scope: str | None = None
    scope_id: str | None = None
    occurred_day: AwareDatetime | None = None
    earliest_occurred_at: AwareDatetime | None = None
    latest_occurred_at: AwareDatetime | None = None
    partition: Int32 | None = None
    first_offset: Total | None = None
    last_offset: Total | None = None
    line: Int32 | None = None
    level: Int32 = 0
    calls: Total = 0
    errors: Total = 0
    input_tokens: Total = 0
    output_tokens: Total = 0
    unpriced: Total = 0
    priority: Int32 = 0
    expires_at: AwareDatetime | None = None
    promotional: bool = False
    grant_id: str | None = None
    voids: str | None = None
    reference: str | None = None
    note: str | None = None
    made_at: AwareDatetime
    made_by: Name

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        reason = fault(
            self.kind,
            self.amount,
            self.billed_amount,
            placed=None not in (self.partition, self.first_offset, self.line, self.occurred_day),
            scope=self.scope,
            scope_id=self.scope_id,
            grant_id=self.grant_id,
            voids=self.voids,
        )
        if reason is not None:
            raise ValueError(reason)
        return self

    def to_value(self) -> bytes:
        """The entry as a record of the topic."""
        return wire.encode("ledger_entry", dict(self.__dict__))


def fault(
    kind: str,
    amount: Any,
    billed: Any,
    *,
    placed: bool,
    scope: str | None,
    scope_id: str | None,
    grant_id: str | None,
    voids: str | None,
) -> str | None:
    """Why an entry cannot be booked, or None. Amounts are of any signed type; ``placed``: it names page and day."""
    if (scope is None) != (scope_id is None):
        return "a scope needs its scope_id"
    if scope is not None and (scope not in BudgetScope.__members__ or scope == BudgetScope.ACCOUNT):
        return f"{scope!r} is no scope of a budget's own entry"
    if scope is not None and kind not in (EntryKind.CHARGE, EntryKind.VOID):
        return f"{kind} has no scope"
    if kind == EntryKind.CHARGE:
        return None if placed and billed is None else "a CHARGE names its page and day, and bills nothing"
    if kind == EntryKind.INVOICE:
        return None if not amount and billed is not None and billed > 0 else "an INVOICE bills an amount and moves none"
    if billed is not None and not (kind == EntryKind.VOID and not amount):
        return f"{kind} bills nothing"
    if amount is None and billed is None:
        return f"{kind} needs an amount"
    if kind in (EntryKind.GRANT, EntryKind.PAYMENT) and amount <= 0:
        return f"{kind} of {amount} is not positive"
    if kind == EntryKind.EXPIRY and (grant_id is None or amount >= 0):
        return "an EXPIRY names its grant and takes an amount off"
    if kind == EntryKind.VOID and voids is None:
        return "a VOID names the entry it takes back"
    return None


class Grant(Record):
    """A grant or payment as far as it is left."""

    grant_id: str
    amount: Usd
    remaining: Usd
    priority: int
    expires_at: AwareDatetime | None
    promotional: bool
    expiring: bool


class Window(Record):
    """What a budget has spent of one of its windows."""

    scope: str
    scope_id: str
    window: str
    ends_at: AwareDatetime | None
    spent: Usd
    budget: Usd | None
    allowed: bool


class Alarm(Record):
    """An open alert of the account."""

    alarm: str
    alert_id: str
    since: AwareDatetime


class Burn(Record):
    """Charges of five minutes."""

    begins_at: AwareDatetime
    charged: Usd


class ChargePosition(Record):
    """The last CHARGE counted of one partition of usage.events."""

    partition: int
    first_offset: int
    line: int


class CountedEntry(Record):
    """An entry other than a CHARGE that counted."""

    entry_id: str
    digest: str
    kind: str
    amount: Usd
    reference: str | None
    voided: bool
    at: AwareDatetime


class AccountState(Record):
    """What an account stands at; see ``account_state``."""

    account_id: str
    currency: str
    version: int
    as_of: AwareDatetime
    next_offset: int
    mode: str
    status: str
    allowed: bool
    reason: Reason
    refused_until: AwareDatetime | None = None
    balance: Usd
    overdraft: Usd
    granted: Usd
    credit: Usd | None = None
    used: Usd
    unbilled: Usd
    billed_unpaid: Usd
    invoiced: Usd
    paid: Usd
    charged: Usd
    provisional: Usd
    calls: int
    unpriced: int
    expired: bool
    grants: tuple[Grant, ...] = ()
    windows: tuple[Window, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    burn: tuple[Burn, ...] = ()
    positions: tuple[ChargePosition, ...] = ()
    entries: tuple[CountedEntry, ...] = ()
    forgotten_until: AwareDatetime | None = None


class Alert(Record):
    """Something people must know of; see ``alert``."""

    alert_id: str
    account_id: str
    subject_kind: str
    subject_id: str
    kind: str
    state: AlertState
    severity: AlertSeverity
    expected: Usd | None = None
    seen: Usd | None = None
    score: float | None = None
    amount: Usd | None = None
    currency: str | None = None
    threshold_percent: int | None = None
    window: str | None = None
    ends_at: AwareDatetime | None = None
    projected_at: AwareDatetime | None = None
    topic: str | None = None
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    entry_id: str | None = None
    broker_at: AwareDatetime
    since: AwareDatetime
    resolves: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    sentence: str
    measure: str | None = None
    projected_amount: Usd | None = None
    band_begins_at: AwareDatetime | None = None
    band_low: tuple[float, ...] = ()
    band_expected: tuple[float, ...] = ()
    band_high: tuple[float, ...] = ()

    def to_value(self) -> bytes:
        """The alert as a record of the topic."""
        arrays = {name: list(getattr(self, name)) for name in _ALERT_ARRAYS}
        return wire.encode("alert", {**self.__dict__, **arrays})


_ALERT_ARRAYS = ("resolves", "band_low", "band_expected", "band_high")
