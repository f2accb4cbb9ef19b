"""A partition of ledger.entries, handed to its accounts' books: charges added up in columns, all else one by one. Pure.

Added up are charges that only take, name their page, and stand behind everything that came of their partition of
usage.events before; and only where it is sure to which windows they count. So each of them
counts, whatever its account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tokenmeter.audit.amounts import carried, unscaled_limbs
from tokenmeter.audit.blocks import Block
from tokenmeter.audit.hashing import Key
from tokenmeter.audit.ledger.book import FIVE_MINUTES_MS, Book, Charges
from tokenmeter.audit.ledger.charged import ENTRY, mixed, text_hashes
from tokenmeter.audit.texts import hashed, texts
from tokenmeter.audit.walk import walk_lines
from tokenmeter.audit.walked import I64, NULL, Bools, Walked
from tokenmeter.events import wire
from tokenmeter.events.catalog_row import BudgetScope
from tokenmeter.events.contract import DAY_MS, latest
from tokenmeter.events.errors import Poison
from tokenmeter.events.ledger import EntryKind

_CHARGE = list(EntryKind).index(EntryKind.CHARGE)
_SCOPES = [None, *(str(scope) for scope in BudgetScope if scope != BudgetScope.ACCOUNT)]
_DAY_US = DAY_MS * 1_000
_TEXTS = ("currency", "scope", "scope_id")

Span = tuple[int, int]


class Journal:
    """``books`` has every account met so far. ``opened`` makes the book of a new one, ``unsure_ms`` says between which
    times an account's entries may count to a window or not. ``clock_ms`` is the last entry's time."""

    def __init__(self, opened: Callable[[str], Book], unsure_ms: Callable[[str], Span]) -> None:
        self.books: dict[str, Book] = {}
        self._opened = opened
        self._unsure_ms = unsure_ms
        self._unsure: dict[str, Span] = {}
        self._key = Key()
        self.clock_ms = 0
        self._newest: dict[int, tuple[int, int]] = {}

    def add(self, block: Block) -> None:
        """Book the entries of a block, the next ones of the partition."""
        if not len(block):
            return
        # The ledger never takes time to go back.
        clock = np.maximum(np.maximum.accumulate(block.appended_at_ms), self.clock_ms)
        self.clock_ms = int(clock[-1])
        values = [value or b"" for value in block.values]
        walked = walk_lines(latest(ENTRY), values)
        steps = sorted(self._steps(walked, values, clock), key=lambda step: step[0])
        for _, account_id, step, at_ms in steps:
            book = self._book(account_id)
            if isinstance(step, Charges):
                book.charge(step)
            else:
                book.post(step, at_ms)

    def _book(self, account_id: str) -> Book:
        if account_id not in self.books:
            self.books[account_id] = self._opened(account_id)
        return self.books[account_id]

    def _steps(
        self, walked: Walked, values: Sequence[bytes], clock: I64
    ) -> Iterator[tuple[int, str, Charges | Mapping[str, Any], int]]:
        """(row, account, what to book, when), in any order; no two of an account have one row."""
        limbs = [unscaled_limbs(walked, name) for name in ("amount", "provisional_amount")]
        money = [limb for pair in limbs if pair is not None for limb in pair]
        plain = self._plain(walked, money) if None not in limbs else np.zeros(len(values), bool)
        if self._repeats(walked):
            plain[:] = False
        accounts = text_hashes(walked, "account_id", self._key)
        _, first, numbers = np.unique(accounts, return_index=True, return_inverse=True)
        names = [walked.text("account_id", row) if walked.ok[row] else None for row in first.tolist()]
        plain &= ~self._is_unsure(names, numbers, clock)
        for row in np.flatnonzero(~plain).tolist():
            try:
                entry = wire.decode(values[row], expect=ENTRY).record
            except Poison:
                continue  # named where the entries of pages are compared
            yield row, entry["account_id"], entry, int(clock[row])
        if plain.any():
            yield from self._sums(walked, money, clock, plain, numbers, names)

    def _plain(self, walked: Walked, money: Sequence[I64]) -> Bools:
        """Charges that can be booked whatever their account says, but for the currency."""
        low, high = carried(money[0], money[1])
        plain: Bools = walked.ok & (walked.numbers("kind") == _CHARGE) & ((high < 0) | ((high == 0) & (low == 0)))
        for name in ("partition", "first_offset", "line", "occurred_day"):
            plain = plain & walked.present(name)
        scope = text_hashes(walked, "scope", self._key)
        scoped = walked.sizes("scope") != NULL
        known = np.isin(scope, hashed(texts(_SCOPES), self._key))
        plain &= known & (scoped == (walked.sizes("scope_id") != NULL)) & (walked.sizes("billed_amount") == NULL)
        plain &= walked.numbers("unpriced") >= 0
        return plain

    def _repeats(self, walked: Walked) -> bool:
        """Whether a charge does not stand behind all that came before of its partition."""
        rows = np.flatnonzero((walked.numbers("kind") == _CHARGE) & walked.present("partition"))
        partitions, found = walked.numbers("partition")[rows], False
        firsts, lines = walked.numbers("first_offset")[rows], walked.numbers("line")[rows]
        for partition in np.unique(partitions).tolist():
            of = partitions == partition
            first, line = firsts[of], lines[of]
            rises = (first[1:] > first[:-1]) | ((first[1:] == first[:-1]) & (line[1:] > line[:-1]))
            newest = self._newest.get(partition, (-1, -1))
            found |= not rises.all() or (int(first[0]), int(line[0])) <= newest
            self._newest[partition] = max(newest, (int(first[-1]), int(line[-1])))
        return bool(found) or not walked.ok.all()

    def _is_unsure(self, names: Sequence[str | None], numbers: I64, clock: I64) -> Bools:
        for name in names:
            if name is not None and name not in self._unsure:
                self._unsure[name] = self._unsure_ms(name)
        spans = np.array([(0, 0) if name is None else self._unsure[name] for name in names], np.int64)
        begin, end = spans[:, 0][numbers], spans[:, 1][numbers]
        return np.asarray((begin <= clock) & (clock < end))

    def _sums(
        self,
        walked: Walked,
        money: Sequence[I64],
        clock: I64,
        plain: Bools,
        numbers: I64,
        names: Sequence[str | None],
    ) -> Iterator[tuple[int, str, Charges, int]]:
        """The plain charges added up, each sum between two other entries of its account."""
        order = np.argsort(numbers, kind="stable")
        others = np.cumsum(~plain[order])
        begins = np.flatnonzero(np.append(True, np.diff(numbers[order]) != 0))
        before: I64 = np.repeat(others[begins] - ~plain[order][begins], np.diff(np.append(begins, len(order))))
        run = np.empty(len(order), np.int64)
        run[order] = others - before
        rows = np.flatnonzero(plain)
        days, fives = walked.numbers("occurred_day") // _DAY_US, clock // FIVE_MINUTES_MS
        keyed = mixed(self._key, text_hashes(walked, "currency", self._key), numbers, run, fives, days)
        scopes = [text_hashes(walked, name, self._key) for name in ("scope", "scope_id")]
        keyed = mixed(self._key, keyed, walked.numbers("partition"), *scopes)[rows]
        by_key = np.argsort(keyed, kind="stable")
        starts = np.flatnonzero(np.append(True, keyed[by_key][1:] != keyed[by_key][:-1]))
        ordered = rows[by_key]
        ends = np.append(starts[1:], len(ordered))
        columns = [*money, walked.numbers("calls"), walked.numbers("unpriced")]
        summed = [np.add.reduceat(column[ordered], starts).tolist() for column in columns]
        firsts, lasts = ordered[starts], ordered[ends - 1]
        places = zip(
            walked.numbers("first_offset")[lasts].tolist(), walked.numbers("line")[lasts].tolist(), strict=True
        )
        partitions, dayed, at = walked.numbers("partition")[firsts], days[firsts], clock[lasts]
        texts_of = zip(*(self._texts(walked, name, firsts) for name in _TEXTS), strict=True)
        columns_of = zip(at.tolist(), partitions.tolist(), dayed.tolist(), (ends - starts).tolist(), strict=True)
        for row, place, text, column, *sums in zip(firsts.tolist(), places, texts_of, columns_of, *summed, strict=True):
            name = names[numbers[row]]
            assert name is not None
            (currency, scope, scope_id), (at_ms, partition, day, entries) = text, column
            amount, provisional = (-(low + (high << 32)) for low, high in (sums[:2], sums[2:4]))
            found = (entries, amount, provisional, *sums[4:])
            yield row, name, Charges(at_ms, currency or "", partition, place, scope, scope_id, day, *found), at_ms

    def _texts(self, walked: Walked, name: str, rows: I64) -> list[str | None]:
        """A text of each of ``rows``; most are the same."""
        if (walked.sizes(name) == NULL).all():
            return [None] * len(rows)
        _, first, place = np.unique(text_hashes(walked, name, self._key)[rows], return_index=True, return_inverse=True)
        known = [walked.text(name, row) for row in rows[first].tolist()]
        return [known[at] for at in place.tolist()]
