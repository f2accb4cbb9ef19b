"""A small realistic catalog for the demo: list and cost of the demo's models, two plans, a distributor."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

from tokenmeter.events.catalog import Account, Plan
from tokenmeter.events.catalog_row import COST_BOOK, LIST_BOOK, AccountMode, CatalogRow
from tokenmeter.stack.prices.account_terms import ppm
from tokenmeter.stack.prices.litellm_map import Options
from tokenmeter.stack.prices.table import read_prices

IN_FORCE_FROM = datetime(2023, 1, 1, tzinfo=UTC)
"""Before every call that a demo sends."""
RETAIL, RESELLER = "retail", "reseller"
DISTRIBUTOR = "dist_0000"
PREPAID_CUSTOMER = "cus_prepaid"
"""Gets its credit in the demo, and uses it up."""
ITS_CUSTOMERS = ("cus_0000", "cus_0001")
RETAIL_CUSTOMERS = tuple(f"cus_{number:04d}" for number in range(2, 12))
"""Customers of ours who pay what a call costs and a fee; whoever has no account pays the list price."""


def demo_rows() -> list[CatalogRow]:
    """All rows, in the order in which they are written. The same every time, so that writing them twice writes once."""
    file = files(__package__) / "demo.csv"
    prices = read_prices(file.read_text("utf-8"), "demo.csv", Options(IN_FORCE_FROM))
    return [*(one.row for one in prices.rows), *_plans(), *_accounts()]


def _plans() -> list[CatalogRow]:
    fee = ppm("5%")
    return [
        Plan(
            plan_id=RETAIL,
            base_book=COST_BOOK,
            margin_ppm=ppm("+5.5%"),
            byok_fee_ppm=fee,
            currency="USD",
            effective_from=IN_FORCE_FROM,
            note="a router's fee over what upstream asks",
        ),
        Plan(
            plan_id=RESELLER,
            base_book=LIST_BOOK,
            margin_ppm=ppm("-30%"),
            byok_fee_ppm=fee,
            currency="USD",
            effective_from=IN_FORCE_FROM,
            note="a distributor's discount on the list",
        ),
    ]


def _accounts() -> list[CatalogRow]:
    """The distributor pays us by its plan; its two customers pay it the list price."""
    distributor = Account(
        account_id=DISTRIBUTOR,
        plan_id=RESELLER,
        mode=AccountMode.PREPAID,
        thresholds_percent=(50, 80, 95, 100),
        white_label=True,
        effective_from=IN_FORCE_FROM,
    )
    below = [
        Account(account_id=name, parent_id=DISTRIBUTOR, payment_terms_days=30, effective_from=IN_FORCE_FROM)
        for name in ITS_CUSTOMERS
    ]
    retail = [Account(account_id=name, plan_id=RETAIL, effective_from=IN_FORCE_FROM) for name in RETAIL_CUSTOMERS]
    prepaid = Account(
        account_id=PREPAID_CUSTOMER, plan_id=RETAIL, mode=AccountMode.PREPAID, effective_from=IN_FORCE_FROM
    )
    return [distributor, *below, *retail, prepaid]
