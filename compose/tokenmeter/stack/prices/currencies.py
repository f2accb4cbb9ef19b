"""Currencies that rows may name: ISO 4217, and the tokens that whoever runs this says are money here."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import iso4217

from tokenmeter.events.catalog import Account, Budget, ExchangeRate, Plan, PriceTerms
from tokenmeter.events.catalog_row import CatalogRow


@cache
def iso_codes() -> frozenset[str]:
    """The codes in use."""
    return frozenset(currency.code for currency in iso4217.Currency)


def unknown_currency(row: CatalogRow, tokens: Collection[str]) -> str | None:
    """The first currency of a row that is neither ISO 4217's nor one of ``tokens``."""
    return next((code for code in currencies_of(row) if code not in iso_codes() and code not in tokens), None)


def currencies_of(row: CatalogRow) -> list[str]:
    """The currencies that a row names."""
    if isinstance(row, ExchangeRate):
        return [row.base_currency, row.quote_currency]
    if isinstance(row, PriceTerms | Account | Budget | Plan):
        return [row.currency] if row.currency is not None else []
    return []
