"""What every row of the topic ``catalog`` has, and the words and bounds that rows share."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from tokenmeter.events import wire
from tokenmeter.events.models import Record
from tokenmeter.events.rating import PLAN_ID_PATTERN, amount, pico

LIST_BOOK = "list"
COST_BOOK = "cost"
DEFAULT_PLAN = "default"
DEFAULT_CURRENCY = "USD"
FREE_VARIANT = "free"
ANY_MODEL = "*"
CHAIN_ACCOUNTS_MAX = 8
"""A customer and the accounts above it."""
MINUTES_PER_DAY = 1_440
EVERY_WEEKDAY = 0b111_1111
UNIT_PRICE_MAX = Decimal(10**6)
"""A million of a currency for one token, image or second is a slip of the pen."""
FACTOR_PPM_MAX = 10**9
_ROW_ID_BYTES = 10


def _whole_pico(price: Decimal) -> Decimal:
    return amount(pico(price))


UnitPrice = Annotated[Decimal, Field(ge=0, le=UNIT_PRICE_MAX), AfterValidator(_whole_pico)]
"""Currency for one token, image, second, search or request: rounded half-even to whole pico-units when it is made."""
Currency = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,11}$")]
Minute = Annotated[int, Field(ge=0, lt=MINUTES_PER_DAY)]
PlanId = Annotated[str, Field(pattern=f"^{PLAN_ID_PATTERN}$")]


class PlanBase(StrEnum):
    """What a plan's margin is added to: the prices of a book, or what the payee itself pays."""

    BOOK = "BOOK"
    BUY = "BUY"


class AccountMode(StrEnum):
    """Whether an account pays before it uses, or after."""

    PREPAID = "PREPAID"
    POSTPAID = "POSTPAID"


class AccountStatus(StrEnum):
    """Whether an account may call."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class BudgetScope(StrEnum):
    """What part of an account a budget is for; ACCOUNT: all of it, its scope_id is the account's own."""

    ACCOUNT = "ACCOUNT"
    PROJECT = "PROJECT"
    KEY = "KEY"
    END_USER = "END_USER"
    MODEL = "MODEL"


class BudgetWindow(StrEnum):
    """How long an amount lasts; UTC."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    LIFETIME = "LIFETIME"


class CatalogRow(Record):
    """What all rows have. ``row_id`` is made of everything else but the note, so the same row has the same id."""

    schema_name: ClassVar[str]
    natural_key: ClassVar[tuple[str, ...]]

    row_id: str = ""
    effective_from: AwareDatetime
    note: str | None = None

    @model_validator(mode="after")
    def _has_its_id(self) -> Self:
        made = self._made_id()
        if self.row_id not in ("", made):
            raise ValueError(f"row_id {self.row_id} is not that of the row's content, {made}")
        object.__setattr__(self, "row_id", made)
        return self

    def _made_id(self) -> str:
        digest = hashlib.blake2b(self.schema_name.encode(), digest_size=_ROW_ID_BYTES)
        for name in sorted(set(type(self).model_fields) - {"row_id", "note"}):
            digest.update(f"\x00{name}={_plain(getattr(self, name))}".encode())
        return self.schema_name.removeprefix("catalog_")[0] + digest.hexdigest()

    @property
    def key(self) -> tuple[Any, ...]:
        """The natural key, in the order of ``natural_key``."""
        return tuple(getattr(self, name) for name in self.natural_key)

    def same_terms(self, other: CatalogRow) -> bool:
        """Whether two rows say the same, whenever each took effect and wherever it came from."""
        ignored = {"row_id", "note", "effective_from"}
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in type(self).model_fields if name not in ignored
        )

    def to_value(self) -> bytes:
        """The row as a record of the topic."""
        record = {k: list(v) if isinstance(v, tuple) else v for k, v in self.__dict__.items()}
        return wire.encode(self.schema_name, record)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(pico(value))
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)
