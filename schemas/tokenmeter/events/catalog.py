"""The rows of the topic ``catalog`` as models: prices, plans, accounts, budgets, models, rates, keys.

A row is never edited; a later row with the same natural key takes its place from its ``effective_from`` on. What a row
means for a call is told in ``pricing.md`` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, Field, create_model, model_validator

from tokenmeter.events import wire
from tokenmeter.events.catalog_row import (
    ANY_MODEL,
    DEFAULT_CURRENCY,
    DEFAULT_PLAN,
    EVERY_WEEKDAY,
    FACTOR_PPM_MAX,
    LIST_BOOK,
    AccountMode,
    AccountStatus,
    BudgetScope,
    BudgetWindow,
    CatalogRow,
    Currency,
    Minute,
    PlanBase,
    PlanId,
    UnitPrice,
)
from tokenmeter.events.contract import CATALOG_SCHEMAS, PRICED_FIELDS
from tokenmeter.events.errors import Poison
from tokenmeter.events.models import Name, Usd
from tokenmeter.events.rating import PPM, pico


class PriceTerms(CatalogRow):
    """The part of a price that says for which calls it is; ``Price`` adds the unit prices."""

    schema_name: ClassVar[str] = "catalog_price"
    natural_key: ClassVar[tuple[str, ...]] = (
        "book",
        "model",
        "provider",
        "variant",
        "service_tier",
        "min_input_tokens",
        "window_start_minute",
        "window_end_minute",
        "weekdays",
    )

    book: Name = LIST_BOOK
    model: Name
    provider: Name | None = None
    variant: Name | None = None
    service_tier: Name | None = None
    min_input_tokens: Annotated[int, Field(ge=0, lt=2**53)] = 0
    window_start_minute: Minute | None = None
    window_end_minute: Minute | None = None
    weekdays: Annotated[int, Field(ge=1, le=EVERY_WEEKDAY)] = EVERY_WEEKDAY
    currency: Currency = DEFAULT_CURRENCY
    provisional: bool = False
    withdrawn: bool = False

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if (self.window_start_minute is None) != (self.window_end_minute is None):
            raise ValueError("a window needs its start and its end")
        if (
            "*" in self.model
            and self.model != ANY_MODEL
            and not (self.model.endswith("/*") and self.model.count("*") == 1)
        ):
            raise ValueError(f"model {self.model!r}: a pattern is author/* or *")
        return self

    def units_pico(self) -> dict[str, int]:
        """Unit prices in whole pico-units, by PRICED_FIELDS."""
        return {name: pico(getattr(self, f"{name}_price")) for name in PRICED_FIELDS}


Price: type[PriceTerms] = create_model(
    "Price", __base__=PriceTerms, **{f"{name}_price": (UnitPrice, Decimal(0)) for name in PRICED_FIELDS}
)  # type: ignore[call-overload]
"""A price with a unit price for each of PRICED_FIELDS, in the field NAME_price."""


class Plan(CatalogRow):
    """How an account is charged."""

    schema_name: ClassVar[str] = "catalog_plan"
    natural_key: ClassVar[tuple[str, ...]] = ("plan_id",)

    plan_id: PlanId
    base: PlanBase = PlanBase.BOOK
    base_book: Name | None = None
    margin_ppm: Annotated[int, Field(ge=-PPM, le=FACTOR_PPM_MAX)] = 0
    override_book: Name | None = None
    byok_fee_ppm: Annotated[int, Field(ge=0, le=FACTOR_PPM_MAX)] = 0
    currency: Currency | None = None

    @model_validator(mode="after")
    def _has_a_base(self) -> Self:
        if (self.base == PlanBase.BOOK) != (self.base_book is not None):
            raise ValueError("base BOOK needs a base_book, base BUY has none")
        return self


class Account(CatalogRow):
    """Who pays whom, and how."""

    schema_name: ClassVar[str] = "catalog_account"
    natural_key: ClassVar[tuple[str, ...]] = ("account_id",)

    account_id: Name
    parent_id: Name | None = None
    plan_id: PlanId = DEFAULT_PLAN
    currency: Currency = DEFAULT_CURRENCY
    mode: AccountMode = AccountMode.POSTPAID
    credit_limit: Usd | None = None
    thresholds_percent: tuple[Annotated[int, Field(ge=1, le=1_000)], ...] = ()
    payment_terms_days: Annotated[int, Field(ge=0, le=366)] = 0
    white_label: bool = False
    status: AccountStatus = AccountStatus.ACTIVE


class Budget(CatalogRow):
    """An amount that a part of an account may spend in a window of time."""

    schema_name: ClassVar[str] = "catalog_budget"
    natural_key: ClassVar[tuple[str, ...]] = ("account_id", "scope", "scope_id", "window")

    account_id: Name
    scope: BudgetScope
    scope_id: Name
    window: BudgetWindow
    amount: Annotated[Usd, Field(ge=0)]
    currency: Currency = DEFAULT_CURRENCY


class ModelFacts(CatalogRow):
    """Facts of a model."""

    schema_name: ClassVar[str] = "catalog_model"
    natural_key: ClassVar[tuple[str, ...]] = ("model",)

    model: Name
    author: Name
    author_country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    open_weights: bool | None = None
    context_tokens: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    aliases: tuple[Name, ...] = ()


class ExchangeRate(CatalogRow):
    """An exchange rate, for boards and statements only."""

    schema_name: ClassVar[str] = "catalog_rate"
    natural_key: ClassVar[tuple[str, ...]] = ("base_currency", "quote_currency")

    base_currency: Currency
    quote_currency: Currency
    rate: Annotated[Usd, Field(gt=0)]


class Right(StrEnum):
    """What a key of the gateway may do. ADMIN, give and take credit and read of any customer, is for its own keys."""

    USAGE = "usage"
    CORRECTION = "correction"
    READ = "read"
    ADMIN = "admin"


class Key(CatalogRow):
    """One secret of a key of the gateway, as its hash. It prices nothing.

    The secret is 256 random bits, so SHA-256 is right for it: slow hashes protect what people make up and others can
    guess, and here there is nothing to guess.
    """

    schema_name: ClassVar[str] = "catalog_key"
    natural_key: ClassVar[tuple[str, ...]] = ("key_id", "secret_sha256")

    key_id: Name
    secret_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    customer_id: Name | None = None
    rights: tuple[Name, ...]
    valid_until: AwareDatetime | None = None
    revoked: bool = False
    events_per_s: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    bytes_per_s: Annotated[int, Field(ge=1, lt=2**31)] | None = None


ROWS: Mapping[str, type[CatalogRow]] = {
    row.schema_name: row for row in (Price, Plan, Account, Budget, ModelFacts, ExchangeRate, Key)
}
"""The model of each record the topic may carry."""
assert set(ROWS) == set(CATALOG_SCHEMAS)


def row_or_foreign(value: bytes | None) -> CatalogRow | Poison:
    """The row of one record, or why it is none: a stranger's record changes no price and stops nobody.

    Raises Poison for one that a later tokenmeter may have written, which must not be passed over.
    """
    try:
        return row_of(value)
    except Poison as why:
        if wire.is_newer(value):
            raise
        return why


def row_of(value: bytes | None) -> CatalogRow:
    """The row of one record of the topic; Poison when it is none, or says other than its id."""
    decoded = wire.decode(value)
    model = ROWS.get(decoded.schema.name)
    if model is None:
        raise Poison("schema", f"{decoded.schema.name} is no row of the catalog")
    try:
        return model.model_validate(decoded.record)
    except ValueError as error:
        raise Poison("invariant", str(error)) from error
