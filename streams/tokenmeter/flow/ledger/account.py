"""All that the ledger remembers of one account. Written only by ``post``, ``drawdown``, ``standing`` and the fold."""

from __future__ import annotations

from dataclasses import dataclass, field

from tokenmeter.flow.ledger.terms import Terms

WindowKey = tuple[str | None, str | None, str]
"""(scope, scope_id, window); scope and scope_id are None for the account itself."""
Position = tuple[int, int]
"""(first_offset, line) of a CHARGE, on one partition of usage.events."""


@dataclass(slots=True)
class Grant:
    """A grant, or a payment, as far as it is left. ``order`` is its age: the account's version when it was booked."""

    grant_id: str
    amount_pico: int
    remaining_pico: int
    priority: int = 0
    expires_at_ms: int | None = None
    promotional: bool = False
    order: int = 0
    expiring: bool = False
    avro: tuple[tuple[int, bool], bytes, bytes] | None = field(default=None, compare=False)
    """(amount_pico, expiring) and what the state's record has before and after what is left, while those are so."""

    @property
    def rank(self) -> tuple[int, float, bool, int]:
        """The drawdown order: priority, then earlier expiry, then promotional before paid, then age."""
        expiry = float("inf") if self.expires_at_ms is None else self.expires_at_ms
        return self.priority, expiry, not self.promotional, self.order


@dataclass(slots=True)
class Counted:
    """An entry other than a CHARGE that counted: what tells its repeat from a conflict."""

    digest: str
    kind: str
    amount_pico: int
    reference: str | None
    at_ms: int
    voided: bool = False


@dataclass(slots=True)
class Open:
    """An open alert."""

    alert_id: str
    since_ms: int


@dataclass(slots=True)
class Account:
    """One account. ``balance_pico`` = what is left of the grants - ``overdraft_pico``, always."""

    account_id: str
    currency: str
    version: int = 0
    as_of_ms: int = 0
    bucket: int = 0
    balance_pico: int = 0
    overdraft_pico: int = 0
    granted_pico: int = 0
    invoiced_pico: int = 0
    paid_pico: int = 0
    charged_pico: int = 0
    provisional_pico: int = 0
    calls: int = 0
    unpriced: int = 0
    expired: bool = False
    forgotten_until_ms: int | None = None
    grants: list[Grant] = field(default_factory=list)
    windows: dict[WindowKey, int] = field(default_factory=dict)
    alarms: dict[str, Open] = field(default_factory=dict)
    burn: dict[int, int] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    counted: dict[str, Counted] = field(default_factory=dict)
    references: dict[tuple[str, str], str] = field(default_factory=dict)
    named_avro: bytes | None = field(default=None, compare=False)
    """The beginning of the state's record, which never changes."""
    counted_avro: bytes | None = field(default=None, compare=False)
    """``counted`` as the state's record has it, until it changes."""
    burnt_avro: bytes | None = field(default=None, compare=False)
    """The same of ``burn`` without the present five minutes, until they have passed."""
    shown: tuple[object, ...] | None = field(default=None, compare=False)
    """What the restored state said that depends on the catalog; see ``state.shown``."""
    judged_by: Terms | None = field(default=None, compare=False)
    """The terms of the last judgement; no part of the state."""
