"""Whether rows may be written, judged with what is in force and what comes: all that is wrong, each with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from tokenmeter.events.catalog import Account, Plan, PriceTerms
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import named
from tokenmeter.stack.prices.currencies import iso_codes, unknown_currency
from tokenmeter.stack.prices.hierarchy import World
from tokenmeter.stack.prices.overlaps import ties
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Place, Problem, Proposed


def problems(catalog: Catalog, proposed: Sequence[Proposed], tokens: Collection[str] = ()) -> list[Problem]:
    """Why ``proposed`` may not be written after ``catalog``; nothing when it may. ``tokens`` are money beside ISO's."""
    after = catalog.extended(one.row for one in proposed)
    places = {one.row.row_id: one.place for one in proposed}
    found = [*_currencies(proposed, tokens), *_ties(after, places), *_hierarchy(after, proposed)]
    return list(dict.fromkeys(found))


def _currencies(proposed: Sequence[Proposed], tokens: Collection[str]) -> Iterator[Problem]:
    for one in proposed:
        code = unknown_currency(one.row, tokens)
        if code is not None:
            near = sorted(iso for iso in iso_codes() if iso[:2] == code[:2])
            hint = f" (near it: {', '.join(near[:4])})" if near else ""
            yield Problem(
                one.place,
                f"{named(one.row)}: currency {code} is neither ISO 4217's{hint} nor allowed as a token: "
                f"--token-currency {code} if it is meant",
            )


def _ties(after: Catalog, places: Mapping[str, Place]) -> Iterator[Problem]:
    for one, other, at in ties(after, frozenset(places)):
        new, old = (one, other) if one.row_id in places else (other, one)
        where = f" at {places[old.row_id]}" if old.row_id in places else ", which is in force"
        yield Problem(
            places[new.row_id],
            f"{named(new)} and {named(old)}{where}, would both price the same calls from {at:%Y-%m-%d %H:%M} on",
        )


def _hierarchy(after: Catalog, proposed: Sequence[Proposed]) -> Iterator[Problem]:
    """Judged at each time at which one of the rows takes effect, or a later one of accounts and plans that is known."""
    touched = [one for one in proposed if isinstance(one.row, Account | Plan | PriceTerms)]
    if not touched:
        return
    places = {id(one.row): one.place for one in touched}
    first = min(one.row.effective_from for one in touched)
    times: set[datetime] = {one.row.effective_from for one in touched}
    for kind in (Account, Plan):
        times |= {row.effective_from for row in after.timeline(kind).rows() if row.effective_from > first}
    for at in sorted(times):
        world = World(after, at)
        for row, reason in world.problems([one.row for one in touched if one.row.effective_from <= at]):
            yield Problem(places.get(id(row), COMMAND_LINE), reason)
