"""What an account remembers, and how credit is given and used up: grants in their order, then overdraft. Pure.

Amounts are whole pico-units, times milliseconds. Written from the ledger's README, without its code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NEVER_MS = 2**63 - 1


@dataclass
class Grant:
    """A grant or payment as far as it is ``left``. ``age``: how many entries had counted when it was booked."""

    grant_id: str
    amount: int
    left: int
    age: int
    priority: int = 0
    expires_at_ms: int | None = None
    promotional: bool = False
    expiring: bool = False

    @property
    def order(self) -> tuple[int, int, bool, int]:
        """Which is drawn first: priority, earlier expiry, promotional before paid, age."""
        expires = NEVER_MS if self.expires_at_ms is None else self.expires_at_ms
        return self.priority, expires, not self.promotional, self.age


@dataclass
class Known:
    """An entry that counted: ``worth`` is its amount, or what it billed; ``unique`` what no other of its kind has."""

    content: tuple[Any, ...]
    kind: str
    worth: int
    unique: str | None
    at_ms: int
    voided: bool = False


@dataclass
class Spent:
    """What a window has spent. Of ``maybe``, in their order, those from some entry on count, too: a budget is known to
    the ledger a moment after it stands in the catalog."""

    sure: int | None = None
    maybe: list[int] = field(default_factory=list)

    def possible(self) -> set[int | None]:
        """What a state may say; None: it may have no such window."""
        total = self.sure or 0
        found: set[int | None] = {self.sure}
        for amount in reversed(self.maybe):
            total += amount
            found.add(total)
        return found


@dataclass
class Credit:
    """Balance, grants and overdraft: balance = what is left of the grants - overdraft, always."""

    balance: int = 0
    overdraft: int = 0
    grants: list[Grant] = field(default_factory=list)

    @property
    def granted(self) -> int:
        return sum(grant.amount for grant in self.grants)

    def draw(self, amount: int) -> None:
        """Use ``amount``."""
        self.balance -= amount
        for grant in self.grants:
            taken = min(grant.left, amount)
            grant.left -= taken
            amount -= taken
        self.overdraft += amount

    def give(self, grant: Grant) -> None:
        """A new grant: it pays the overdraft first."""
        self.balance += grant.amount
        paid = min(grant.amount, self.overdraft)
        self.overdraft -= paid
        grant.left = grant.amount - paid
        self._add(grant)

    def give_back(self, amount: int, grant_id: str, age: int) -> None:
        """The opposite of ``draw``, last drawn first. What has no place becomes a grant."""
        self.balance += amount
        paid = min(amount, self.overdraft)
        self.overdraft -= paid
        amount -= paid
        for grant in reversed(self.grants):
            if not grant.expiring:
                filled = min(grant.amount - grant.left, amount)
                grant.left += filled
                amount -= filled
        if amount:
            self._add(Grant(grant_id, amount, amount, age))

    def take_back(self, grant_id: str, amount: int) -> None:
        """Take ``amount`` of a grant: what is left of it, and what it has paid is drawn elsewhere."""
        for grant in [one for one in self.grants if one.grant_id == grant_id]:
            taken = min(grant.left, amount)
            grant.left -= taken
            self.balance -= taken
            amount -= taken
            if grant.left:
                grant.amount -= taken
            else:
                self.grants.remove(grant)
        self.draw(amount)

    def _add(self, grant: Grant) -> None:
        self.grants = sorted([*self.grants, grant], key=lambda one: one.order)
