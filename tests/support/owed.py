"""What rated lines must add up to: a catalog with every kind of term, and the amounts by the contract's page alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from confluent_kafka import Producer

from support.broker import read_all
from support.catalog_rows import account, plan, price
from tokenmeter.audit.charges import Charges
from tokenmeter.events import UsageEvent, decode
from tokenmeter.events.access import SILENT
from tokenmeter.events.catalog import row_of
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import BILLING, CATALOG, MARKET, PAGES, QUANTITY_FIELDS, RESALE
from tokenmeter.events.rating import pico

Owed = Counter[tuple[str, ...]]
"""Pico-units by (kind, account …), and calls by (kind, "unpriced")."""


def rows(customers: Iterable[str], models: Iterable[str], changes_at: datetime) -> list[CatalogRow]:
    """Prices with a long-context tier, cached and batch prices, a window and a change; every third customer stands
    below a reseller, which stands below a distributor. The last model has no list price."""
    made: list[CatalogRow] = []
    for number, model in enumerate(models, 1):
        base = 1_000_000 * number + 7
        units = {"input_tokens": base, "cached_input_tokens": base // 10, "output_tokens": 4 * base + 1}
        units |= {"reasoning_tokens": 5 * base, "requests": 3}
        made += [
            price(model, units, book="list"),
            price(model, {name: 2 * unit for name, unit in units.items()}, book="list", min_input_tokens=50_000),
            price(model, {name: unit // 2 for name, unit in units.items()}, book="list", variant="batch"),
            price(model, {name: unit + 5 for name, unit in units.items()}, book="list", effective_from=changes_at),
            price(
                model,
                {name: unit // 3 for name, unit in units.items()},
                book="list",
                window_start_minute=(changes_at.hour * 60 + 20) % 1_440,
                window_end_minute=(changes_at.hour * 60 + 40) % 1_440,
            ),
            price(model, {name: unit * 9 // 10 for name, unit in units.items()}, book="cost"),
            price(model, {name: unit * 8 // 10 for name, unit in units.items()}, book="cost", provider="p1"),
        ]
    made = [row for row in made if not (getattr(row, "book", "") == "list" and row.model == model)]  # type: ignore[attr-defined]
    made += [
        plan("wholesale", "list", margin_ppm=-300_000),
        plan("resold", None, margin_ppm=55_001),
        account("distributor", "wholesale"),
        account("reseller", "resold", "distributor"),
    ]
    return made + [account(name, "resold", "reseller") for name in list(customers)[::3]]


def publish(bootstrap: str, made: Iterable[CatalogRow]) -> None:
    """Put rows on the catalog, one after the other."""
    producer = Producer(
        {**SILENT, "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 2}
    )
    for row in made:
        producer.produce(CATALOG, row.to_value(), row.row_id.encode(), 0)
    assert producer.flush(60) == 0


def catalog(bootstrap: str) -> list[tuple[int, CatalogRow]]:
    """The rows on the catalog with their offsets."""
    return [(record.offset, row_of(record.value)) for record in read_all(bootstrap, CATALOG)]


def expected(events: Iterable[UsageEvent], charges: Charges) -> Owed:
    """What each event owes, one by one, by customer and by account above."""
    owed: Owed = Counter()
    for event in events:
        rating = charges.rating_of_event(event.to_record())
        failed = event.status >= 400 or event.error_class is not None
        counts = {"events": 1, "errors": int(failed), **{name: getattr(event, name) for name in QUANTITY_FIELDS}}
        _add(owed, ("charge", event.customer_id), charges.charge(rating.price_id, counts))
        _add(owed, ("cost", event.customer_id), charges.charge(rating.cost_price_id, counts))
        for level in rating.levels:
            _add(owed, ("resale", level.account_id, event.customer_id), charges.charge(level.price_id, counts))
    return _without_zeros(owed)


def on_topics(bootstrap: str) -> Owed:
    """What the lines say, record by record."""
    owed: Owed = Counter()
    for line in (decode(record.value).record for record in read_all(bootstrap, BILLING)):
        _add(owed, ("charge", line["customer_id"]), _pico(line["charge"]), line["events"])
        _add(owed, ("cost", line["customer_id"]), _pico(line["cost"]), line["events"])
    for line in (decode(record.value).record for record in read_all(bootstrap, RESALE)):
        whose = ("resale", line["account_id"], line["customer_id"])
        _add(owed, whose, _pico(line["charge"]), line["events"])
    return _without_zeros(owed)


def problems(bootstrap: str, events: Iterable[UsageEvent]) -> list[str]:
    """What of the money on lines and pages is wrong, in words; nothing where there is no catalog."""
    known = catalog(bootstrap)
    if not known:
        return []
    wanted, found = expected(events, Charges(known)), on_topics(bootstrap)
    wrong = [
        f"{key}: {found[key]}, owed {wanted[key]}" for key in sorted({*wanted, *found}) if wanted[key] != found[key]
    ]
    for kind, unpriced in (("charge", "unpriced"), ("cost", "uncosted")):
        total = sum(amount for key, amount in wanted.items() if key[0] == kind and key[1] != "unpriced")
        market = [decode(record.value).record for record in read_all(bootstrap, MARKET)]
        pages = [decode(record.value).record for record in read_all(bootstrap, PAGES)]
        for name, records in (("market", market), ("pages", pages)):
            said = sum(_pico(record[kind]) or 0 for record in records)
            if said != total:
                wrong.append(f"{name}.{kind}: {said}, owed {total}")
        missing = sum(record[unpriced] for record in market)
        if missing != wanted[kind, "unpriced"]:
            wrong.append(f"market.{unpriced}: {missing}, {wanted[kind, 'unpriced']} calls have no price")
    return wrong


def _add(owed: Owed, key: tuple[str, ...], amount: int | None, calls: int = 1) -> None:
    if amount is None:
        owed[key[0], "unpriced"] += calls
    else:
        owed[key] += amount


def _pico(amount: Any) -> int | None:
    return None if amount is None else pico(amount)


def _without_zeros(owed: Owed) -> Owed:
    return Counter({key: amount for key, amount in owed.items() if amount})


def for_events(events: Iterable[UsageEvent]) -> list[CatalogRow]:
    """A catalog for these events; its prices change among them."""
    made = list(events)
    middle = sorted(event.occurred_at for event in made)[len(made) // 2]
    return rows(sorted({event.customer_id for event in made}), sorted({event.model for event in made}), middle)
