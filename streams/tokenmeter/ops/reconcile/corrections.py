"""What to emit for a page whose lines say more (or less) than the raw events of its offsets. Pure.

A page has billing lines and market lines, two views of the same calls; one CORRECTION adds to one line of each. So the
corrections of a page are chosen such that both views come out exactly, and so that the same differences always give the
same events, ids included: emitting them again changes nothing. Each carries the rating of the billing line it corrects.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from tokenmeter.events import UsageEvent
from tokenmeter.events.contract import QUANTITY_FIELDS
from tokenmeter.events.errors import Fatal
from tokenmeter.events.lines import BILLING_USAGE_KEYS, CONTEXT_BUCKET_NAMES, MARKET_USAGE_KEYS
from tokenmeter.events.models import Kind
from tokenmeter.events.rating import Rating

SOURCE = "tokenmeter-reconcile"
"""The emitter named in every correction made here."""
UNRATED = Rating(None, None, None).text
"""The rating of lines from before there were prices."""
ID_BYTES = 16
BILLING_MEASURES: tuple[str, ...] = ("events", "errors", *QUANTITY_FIELDS)
MARKET_ONLY: tuple[str, ...] = ("rate_limited", "streamed", "cancelled", "byok")
SHARED_KEYS: tuple[str, ...] = ("model", "provider", "variant", "occurred_hour")
"""What a billing line and a market line of the same calls have in common."""
RATE_LIMITED, FAILED = 429, 500
_FLAGS = ("streamed", "cancelled", "byok")

_NOTHING: dict[str, int] = dict.fromkeys((*BILLING_MEASURES, *MARKET_ONLY), 0)

Key = tuple[Any, ...]
Measures = Mapping[str, int]
MakeId = Callable[[tuple[Any, ...]], str]


@dataclass
class PageDifference:
    """One page: by key, what its lines say minus what the raw events of its offsets add up to; no zero rows.

    ``ratings`` has the same billing rows apart by the rating they were charged by, as ``split_by_rating`` finds it.
    """

    partition: int
    first_offset: int
    billing: dict[Key, Measures] = field(default_factory=dict)
    market: dict[Key, Measures] = field(default_factory=dict)
    ratings: dict[Key, dict[str, Measures]] = field(default_factory=dict)

    @property
    def rated(self) -> Iterator[tuple[Key, Measures]]:
        """Billing rows by key and rating; a key whose rating is not known has none."""
        for key, measures in self.billing.items():
            for rating, part in self.ratings.get(key, {None: measures}).items():
                yield (*key, rating), part

    @property
    def name(self) -> str:
        return f"page:{self.partition}@{self.first_offset}"


def stable_id(facts: tuple[Any, ...]) -> str:
    """The id of a correction: a digest of what it corrects, the same in every run."""
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    for fact in facts:
        text = fact.isoformat() if isinstance(fact, datetime) else repr(fact)
        digest.update(text.encode() + b"\x00")
    return f"reconcile-{digest.hexdigest()}"


def corrections(page: PageDifference, make_id: MakeId = stable_id) -> list[UsageEvent]:
    """The CORRECTION events that bring both views of ``page`` to the truth, in a fixed order.

    Market rows that cancel each other out and belong to no wrong billing line have no customer to be booked on; they
    are left. Raises Fatal when the two views add up to different sums: no copy explains that.
    """
    groups: dict[Key, tuple[dict[Key, Measures], dict[Key, Measures]]] = defaultdict(lambda: ({}, {}))
    for key, measures in page.rated:
        groups[_shared(BILLING_USAGE_KEYS, key[:-1])][0][key] = measures
    for key, measures in page.market.items():
        groups[_shared(MARKET_USAGE_KEYS, key)][1][key] = measures
    made = []
    for _, (billing, market) in sorted(groups.items(), key=lambda group: _order(group[0])):
        _require_same_sums(page, billing.values(), market.values())
        for billing_key, market_key, measures in cells(billing, market):
            for part, fields in parts(measures):
                event_id = make_id((page.partition, page.first_offset, _named(billing_key), market_key, part))
                made.append(_event(page, event_id, billing_key, market_key, fields))
    return made


def _named(billing_key: Key) -> Key:
    """As the id says it: without the rating where nothing was rated, as ids were before there were ratings."""
    return billing_key[:-1] if billing_key[-1] in (None, UNRATED) else billing_key


def _shared(names: Sequence[str], key: Key) -> Key:
    facts = dict(zip(names, key, strict=True))
    return tuple(facts[name] for name in SHARED_KEYS)


def _order(key: Key) -> list[tuple[bool, Any]]:
    return [(part is not None, part) for part in key]


def _require_same_sums(page: PageDifference, billing: Iterable[Measures], market: Iterable[Measures]) -> None:
    sums = [_sum(rows) for rows in (billing, market)]
    for name, count in sums[0].items():
        if sums[1][name] != count:
            raise Fatal(
                f"{page.name} field {name}: billing lines are {count} beyond the raw events, market lines "
                f"{sums[1][name]}; a copy would show in both",
                hint=f"tokenmeter audit --partition {page.partition}",
            )


def _sum(rows: Iterable[Measures]) -> dict[str, int]:
    total = dict.fromkeys(BILLING_MEASURES, 0)
    for row in rows:
        for name in BILLING_MEASURES:
            total[name] += row[name]
    return total


def cells(billing: Mapping[Key, Measures], market: Mapping[Key, Measures]) -> Iterator[tuple[Key, Key, Measures]]:
    """Yield (billing key, market key, measures) that add up to ``billing`` by the one and to ``market`` by the other.

    Rows with equal figures are paired, as those of a single copy are. What is left goes through one row of each side:
    the first billing row takes every other market row, the first market row takes every other billing row, and where
    the two meet stands what makes the sums come out.
    """
    by_figures: dict[tuple[int, ...], list[Key]] = defaultdict(list)
    for key in sorted(market, key=_order, reverse=True):
        by_figures[_figures(market[key])].append(key)
    rows, paired = [], set()
    for key in sorted(billing, key=_order):
        if same := by_figures[_figures(billing[key])]:
            partner = same.pop()
            paired.add(partner)
            yield key, partner, market[partner]
        else:
            rows.append((key, billing[key]))
    columns = [(key, market[key]) for key in sorted(market, key=_order) if key not in paired]
    if not rows and not columns:
        return
    # A side may have nothing left, its sums being zero; then any of its keys serves, with nothing of its own.
    rows = rows or [(key, _NOTHING) for key in sorted(billing, key=_order)[:1]]
    columns = columns or [(key, _NOTHING) for key in sorted(market, key=_order)[:1] or [_any_market_key(rows[0][0])]]
    if not rows:
        return
    (pivot_row, _), *other_rows = rows
    (pivot_column, corner), *other_columns = columns
    taken = _sum(measures for _, measures in other_rows)
    yield pivot_row, pivot_column, {name: count - taken.get(name, 0) for name, count in corner.items()}
    for key, measures in other_rows:
        yield key, pivot_column, {**_NOTHING, **measures}
    for key, measures in other_columns:
        yield pivot_row, key, measures


def _figures(measures: Measures) -> tuple[int, ...]:
    return tuple(measures[name] for name in BILLING_MEASURES)


def _any_market_key(billing_key: Key) -> Key:
    facts = {**dict(zip(BILLING_USAGE_KEYS, billing_key, strict=False)), "operation": "CHAT"}
    facts["context_bucket"] = CONTEXT_BUCKET_NAMES[0]
    return tuple(facts.get(name) for name in MARKET_USAGE_KEYS)


def parts(measures: Measures) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, event fields) that take ``measures`` off again.

    An event's calls all have its status and its flags. Where all calls are alike, as those of one copy are, one event
    says everything; else one says the quantities, and one more for each status and flag says how many calls had it.
    """
    calls = measures["events"]
    marks: dict[str, tuple[int, dict[str, Any]]] = {
        "failed": (measures["errors"] - measures["rate_limited"], {"status": FAILED}),
        "rate_limited": (measures["rate_limited"], {"status": RATE_LIMITED}),
        **{flag: (measures[flag], {flag: True}) for flag in _FLAGS},
    }
    marks = {name: mark for name, mark in marks.items() if mark[0]}
    quantities = {name: -measures[name] for name in QUANTITY_FIELDS}
    if all(count == calls for count, _ in marks.values()) and not {"failed", "rate_limited"} <= set(marks):
        fields = {name: value for _, mark in marks.values() for name, value in mark.items()}
        if calls or any(quantities.values()):
            yield "all", {"calls": -calls, **fields, **quantities}
        return
    plain = calls - sum(count for count, _ in marks.values())
    if plain or any(quantities.values()):
        yield "quantities", {"calls": -plain, **quantities}
    for name, (count, mark) in marks.items():
        yield name, {"calls": -count, **mark}


def _event(
    page: PageDifference, event_id: str, billing_key: Key, market_key: Key, fields: Mapping[str, Any]
) -> UsageEvent:
    billing, market = (
        dict(zip((*BILLING_USAGE_KEYS, "rating"), billing_key, strict=True)),
        dict(zip(MARKET_USAGE_KEYS, market_key, strict=True)),
    )
    who = {**billing, **market}
    hour = who.pop("occurred_hour")
    try:
        return UsageEvent(
            event_id=event_id,
            kind=Kind.CORRECTION,
            corrects=page.name,
            occurred_at=hour,
            source=SOURCE,
            **who,
            **fields,
        )
    except ValidationError as error:
        raise Fatal(f"{page.name}: its difference does not fit into an event: {error}") from error
