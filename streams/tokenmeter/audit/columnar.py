"""Counts a partition block by block, in columns: blocks in, one Recount per page out. Pure.

Every value is walked within its own bytes (``walk``), judged by the contract's accept rule and hashed for what repeats
and lines are known by. A value that is not usable beyond doubt is read and judged by the reference. Lines are kept by
the hash of their key: enough to say whether the topic's lines are the same, and the reference names what differs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenmeter.audit import rated, reference
from tokenmeter.audit.blocks import Block, Bounds
from tokenmeter.audit.catalog import Catalog
from tokenmeter.audit.facts import Facts, Keys, usage_facts
from tokenmeter.audit.pieces import Pieces
from tokenmeter.audit.rated import PageTotals
from tokenmeter.audit.recount import U64_MASK, Recount, Rules
from tokenmeter.audit.repeats import CONFLICT, DUPLICATE, FRESH, Repeats, Seen
from tokenmeter.audit.routes import MISROUTED, Strangers
from tokenmeter.audit.versions import walk_newest
from tokenmeter.audit.walk import walk_rewritten
from tokenmeter.audit.walked import I64, NULL, Walked
from tokenmeter.events import accept, wire
from tokenmeter.events.contract import QUANTITY_FIELDS, latest
from tokenmeter.events.lines import CONTEXT_BUCKET_NAMES
from tokenmeter.events.rating import RATING_PATTERN

EVENT = "usage_event"
_EPOCH = datetime.fromtimestamp(0, UTC)

Bools = npt.NDArray[np.bool_]
_MISROUTED = np.int8(-1)
"""A status beside those of ``repeats``. What is misrouted is remembered as any event: its repeats are, too."""


@dataclass
class Arrived:
    """Sequence numbers of a block's readable events, in log order: ``source`` by hash."""

    source: npt.NDArray[np.uint64]
    sequence: I64
    places: I64


class ColumnarRecount:
    """One partition. ``keys`` must be those that the lines found on the topics are hashed with; ``unknown_then`` and
    ``rules`` as in ``reference.recount``."""

    def __init__(
        self,
        keys: Keys,
        horizon_ms: int,
        unknown_then: Set[int] = frozenset(),
        catalog: Catalog | None = None,
        rules: Mapping[int, Rules] | None = None,
    ) -> None:
        self._keys = keys
        catalog = catalog or Catalog()
        self._ratings = catalog.ratings(keys.first)
        self._rules = rules or {}
        rated_by = [one.catalog_offset for one in self._rules.values() if one.catalog_offset]
        self._pieces = Pieces(catalog.rows, keys.first, min(rated_by, default=0))
        self._repeats = Repeats(horizon_ms)
        self._unknown_then = unknown_then
        self._strangers = Strangers()
        self._route = next((one.route for one in self._rules.values() if one.route is not None), None)
        self._unknown = np.array(sorted(unknown_then), np.int64)
        self._open: dict[int, PageTotals] = {}
        self.sources: dict[int, str] = {}
        """Names of the sources seen, by hash."""
        self.arrived: Arrived | None = None
        """Of the block last counted."""

    def count(self, block: Block) -> Iterator[PageTotals]:
        """Fold ``block``; yields the pages that it closes, in order."""
        self.arrived = None
        if len(block):
            facts, reasons = self._read(block)
            appended = block.appended_at_ms[facts.places]
            status = self._repeats.mark(Seen(facts.identity, facts.check, facts.payload, appended))
            if block.pages:
                self._fold(block, facts, status, reasons)
        for first, last in block.closed:
            yield self._open.pop(first) if first in self._open else self._page(first, last)

    # Reading a block.

    def _read(self, block: Block) -> tuple[Facts, dict[int, str]]:
        """The usable events in log order, and why others are not, by place."""
        places = np.arange(len(block))
        walked = walk_newest([value or b"" for value in block.values])
        facts = usage_facts(walked, places, self._keys, self._pieces)
        clean = walked.ok & ~_refused(facts, walked, block.appended_at_ms)
        if len(self._unknown):
            clean &= ~np.isin(block.offsets, self._unknown)
        doubtful = places[~clean].tolist()
        self._learn(facts, walked, clean)
        found = [facts if clean.all() else facts.at(np.flatnonzero(clean))]
        sequences = [self._sequences(walked, places, clean)]
        reasons: dict[int, str] = {}
        if doubtful:
            repaired = []
            for place in doubtful:
                reason, event = self._judge(block, place)
                if reason:
                    reasons[place] = reason
                if event is not None:
                    repaired.append((place, wire.encode(EVENT, event) if not reason else _emitter_only(event)))
            walked, places = _rewritten(repaired)
            usable = np.array([place not in reasons for place, _ in repaired], bool)
            facts = usage_facts(walked, places, self._keys, self._pieces)
            self._learn(facts, walked, usable)
            found.append(facts.at(np.flatnonzero(usable)))
            sequences.append(self._sequences(walked, places, np.ones(len(places), bool)))
        self.arrived = Arrived(*(np.concatenate(c) for c in zip(*sequences, strict=True)))
        facts = Facts.joined(found)
        if len(found) > 1:
            facts = facts.at(np.argsort(facts.places, kind="stable"))
        return facts, reasons

    def _learn(self, facts: Facts, walked: Walked, rows: Bools) -> None:
        if self._route is not None:
            self._strangers.learn(self._route, facts.customer, walked, rows)

    def _judge(self, block: Block, place: int) -> tuple[str, dict[str, Any] | None]:
        unknown_then = int(block.offsets[place]) in self._unknown_then
        return reference.read(block.values[place], int(block.appended_at_ms[place]), unknown_then)

    def _sequences(self, walked: Walked, places: I64, rows: Bools) -> tuple[npt.NDArray[np.uint64], I64, I64]:
        source, sequence = walked.columns["source"], walked.columns["sequence"]
        assert source.begin is not None and source.size is not None and sequence.number is not None
        numbered = rows & (sequence.number >= 0)
        if sequence.present is not None:
            numbered &= sequence.present
        hashed = self._keys.first.text(self._keys.first.begin(len(rows)), walked.data, source.begin, source.size)
        chosen = np.flatnonzero(numbered)
        known = np.array(sorted(self.sources) or [0], np.uint64)
        place = np.minimum(np.searchsorted(known, hashed[chosen]), len(known) - 1)
        for row in chosen[known[place] != hashed[chosen]].tolist():
            if int(hashed[row]) not in self.sources:
                self.sources[int(hashed[row])] = walked.text("source", row) or ""
        return hashed[chosen], sequence.number[chosen], places[chosen]

    # Adding up.

    def _fold(self, block: Block, facts: Facts, status: npt.NDArray[np.int8], reasons: dict[int, str]) -> None:
        for first, last in block.pages:
            if first not in self._open:
                self._open[first] = self._page(first, last)
        misrouted = self._misrouted(block, facts)
        status = np.where(misrouted, _MISROUTED, status)
        reasons = reasons | dict.fromkeys(facts.places[misrouted].tolist(), MISROUTED)
        conflicts = facts.places[status == CONFLICT].tolist()
        for place, reason in sorted({**reasons, **dict.fromkeys(conflicts, "conflict")}.items()):
            offset = int(block.offsets[place])
            self._open[_owner(block.pages, offset)].recount.quarantined.append((offset, reason))
        repeats = block.offsets[facts.places[status == DUPLICATE]]
        fresh = facts if not status.any() else facts.at(np.flatnonzero(status == FRESH))
        offsets = block.offsets[fresh.places]
        for first, last in block.pages:
            page = self._open[first]
            begin, end = np.searchsorted(offsets, [first, last + 1]).tolist()
            page.recount.events_in += _count(block.offsets, first, last)
            page.recount.duplicates += _count(repeats, first, last)
            if begin < end:
                mine = fresh if end - begin == len(fresh.places) else fresh.at(slice(begin, end))
                _add(page.recount, mine, offsets[begin:end].astype(np.uint64))
                self._rate(page, mine, block)

    def _misrouted(self, block: Block, facts: Facts) -> Bools:
        """Of the pages whose rules know such events."""
        if self._route is None:
            return np.zeros(len(facts.places), bool)
        offsets = block.offsets[facts.places]
        misrouted = self._strangers.among(self._route, facts.customer, offsets)
        if misrouted.any():
            for first, last in block.pages:
                if self._open[first].rules.route is None:
                    begin, end = np.searchsorted(offsets, [first, last + 1]).tolist()
                    misrouted[begin:end] = False
            paged = (offsets >= block.pages[0][0]) & (offsets <= block.pages[-1][1])
            misrouted &= paged
        return misrouted

    def _rate(self, page: PageTotals, facts: Facts, block: Block) -> None:
        def event_at(row: int) -> dict[str, Any]:
            return wire.decode(block.values[facts.places[row]], expect=EVENT).record

        numbers = self._ratings.numbers(facts.rated_by, event_at, page.rules.catalog_offset)
        rated.add(page, facts, numbers, self._ratings, self._keys)

    def _page(self, first: int, last: int) -> PageTotals:
        return PageTotals(Recount(first, last, lines=None), self._rules.get(first, Rules()))


def _add(recount: Recount, facts: Facts, offsets: npt.NDArray[np.uint64]) -> None:
    recount.events += len(offsets)
    recount.corrections += int(facts.corrections.sum())
    recount.corrected_calls += int(facts.corrected_calls.sum())
    recount.offset_sum = recount.offset_sum + int(offsets.sum()) & U64_MASK
    recount.offset_squares = recount.offset_squares + int((offsets * offsets).sum()) & U64_MASK
    for name in QUANTITY_FIELDS:
        recount.quantities[name] += int(facts.measures[name].sum())
    earliest, newest = _time(facts.occurred_at.min()), _time(facts.occurred_at.max())
    recount.earliest = earliest if recount.earliest is None else min(recount.earliest, earliest)
    recount.latest = newest if recount.latest is None else max(recount.latest, newest)


def _refused(facts: Facts, walked: Walked, appended_at_ms: I64) -> Bools:
    """Rows that the accept rule refuses. A decimal that the walk let through is in range."""
    columns, rows = walked.columns, len(walked.ok)
    event: dict[str, Any] = {
        **{name: facts.measures[name] for name in QUANTITY_FIELDS},
        **{name: columns[name].number for name in accept.INT_FIELDS},
        **{f"{name}_us": columns[name].number for name in accept.TIME_FIELDS},
        **{f"{name}_bytes": columns[name].size for name in accept.NAME_FIELDS},
        "reported_cost": np.zeros(rows, np.int64),
        "is_correction": facts.corrections == 1,
        "calls": columns["calls"].number,
        "has_bucket": columns["context_bucket"].size != NULL,
        "has_known_bucket": _has(walked, "context_bucket", CONTEXT_BUCKET_NAMES.__contains__),
        "has_rating": columns["rating"].size != NULL,
        "has_readable_rating": _has(walked, "rating", lambda text: re.match(RATING_PATTERN, text) is not None),
        "has_corrects": columns["corrects"].size != NULL,
    }
    refused = np.zeros(rows, bool)
    for _, violated in accept.violations(event):
        refused |= violated
    for _, violated in accept.time_violations(facts.occurred_at, appended_at_ms * 1000):
        refused |= violated
    return refused


def _has(walked: Walked, field: str, is_known: Callable[[str], bool]) -> Bools:
    """Rows whose ``field``, which only corrections carry, holds a text that ``is_known``."""
    sizes = walked.sizes(field)
    found = np.zeros(len(sizes), bool)
    for row in np.flatnonzero(walked.ok & (sizes != NULL)).tolist():
        found[row] = is_known(walked.text(field, row) or "")
    return found


def _rewritten(values: Sequence[tuple[int, bytes]]) -> tuple[Walked, I64]:
    places = np.array([place for place, _ in values], np.int64)
    return walk_rewritten(latest(EVENT), [value for _, value in values]), places


def _emitter_only(event: Mapping[str, Any]) -> bytes:
    """A stand-in for an event that arrived and was refused: it is quarantined, not lost before Kafka."""
    named = {"event_id": "", "occurred_at": 0, "customer_id": "", "model": "", "provider": ""}
    return wire.encode(EVENT, {**named, "source": event["source"], "sequence": event["sequence"]})


def _time(micros: Any) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros))


def _owner(pages: Sequence[Bounds], offset: int) -> int:
    return pages[bisect_right(pages, offset, key=lambda page: page[0]) - 1][0]


def _count(offsets: I64, first: int, last: int) -> int:
    begin, end = np.searchsorted(offsets, [first, last + 1])
    return int(end - begin)
