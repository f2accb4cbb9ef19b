"""The CHARGE entries of a page against its lines: columns say whether they agree, ``owed`` says where not. Pure.

An account owes what its lines say by level, UTC day and currency, in one entry however many lines there are; a budget
of a project, key or model has one of its own beside it. What end users' budgets spend is in no line: of those entries
the number alone is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenmeter.audit.amounts import carried, total, unscaled_limbs
from tokenmeter.audit.compare import Fact
from tokenmeter.audit.found import FoundLines
from tokenmeter.audit.hashing import Key
from tokenmeter.audit.ledger.owed import COUNTS, SCOPES, Part, by_entries, by_lines, differing
from tokenmeter.audit.recount import BILLING_LINES, RESALE_LINES
from tokenmeter.audit.texts import Text, hashed, texts
from tokenmeter.audit.walked import I64, NULL, U64, Bools, Walked
from tokenmeter.events import wire
from tokenmeter.events.catalog_row import BudgetScope
from tokenmeter.events.contract import DAY_MS, LEDGER, latest
from tokenmeter.events.errors import Poison
from tokenmeter.events.ledger import charge_id
from tokenmeter.events.rating import amount, pico

ENTRY = "ledger_entry"
_SUMMED = (*COUNTS, "unpriced")
DAY_US = DAY_MS * 1_000


@dataclass(frozen=True)
class Entries:
    """What ledger.entries has of one page."""

    page: Mapping[str, Any]
    lines: FoundLines


def facts(found: Entries, billing: FoundLines, resale: FoundLines, parts: set[Part], key: Key) -> Iterator[Fact]:
    """Figures to compare, none where the columns have compared them all."""
    page = found.page
    numbers = Counter(found.lines.numbers.tolist())
    for number in sorted({*numbers, *range(page["ledger_entries"])}):
        wanted = int(number < page["ledger_entries"])
        yield f"entry {number}", "usage.pages", f"{wanted} times", LEDGER, f"{numbers[number]} times"
    if not page["catalog_offset"]:
        return  # who keeps no catalog keeps no ledger
    if _agree(found, billing, resale, parts, key):
        return
    records: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for values, name, into in ((found.lines, ENTRY, records), (billing, "billing_line", lines)):
        for number, value in enumerate(values.values):
            try:
                into.append(wire.decode(value, expect=name).record)
            except Poison as poison:
                yield f"entry {number}", "contract", f"a {name}", LEDGER, poison.reason
                return
    for number, entry in enumerate(records):
        entry_id = charge_id(page["partition"], page["first_offset"], number)
        yield f"entry {number} entry_id", "contract", entry_id, LEDGER, entry["entry_id"]
        for name in ("partition", "first_offset", "last_offset"):
            yield f"entry {number} {name}", "usage.pages", page[name], LEDGER, entry[name]
    resold = [wire.decode(value, expect="resale_line").record for value in resale.values]
    yield from differing(by_lines(lines, resold, parts), by_entries(records))


def sums(found: Entries) -> dict[str, Any]:
    """What the entries of a page add up to; all are readable."""
    walked = found.lines.walked(latest(ENTRY))
    limbs = None if walked is None else unscaled_limbs(walked, "amount")
    if walked is None or limbs is None:
        records = [wire.decode(value, expect=ENTRY).record for value in found.lines.values]
        counts = {name: sum(one[name] for one in records) for name in _SUMMED}
        priced = [pico(one["amount"]) for one in records if one["amount"] is not None]
        unpriced, money = len(records) - len(priced), sum(priced)
    else:
        counts = {name: int(walked.numbers(name).sum()) for name in _SUMMED}
        unpriced, money = int((walked.sizes("amount") == NULL).sum()), total(*limbs)
    return {"entries": len(found.lines), "unpriced_entries": unpriced, **counts, "amount": amount(money)}


def _agree(found: Entries, billing: FoundLines, resale: FoundLines, parts: set[Part], key: Key) -> bool:
    """False also for values that only the record reader can judge."""
    entries = found.lines.walked(latest(ENTRY))
    sold = billing.walked(BILLING_LINES.schema)
    resold = resale.walked(RESALE_LINES.schema)
    if entries is None or sold is None or resold is None or not _placed(found, entries, key):
        return False
    wanted = [
        _Rows.of_lines(sold, "customer_id", None, None, key),
        _Rows.of_lines(resold, "account_id", None, None, key),
    ]
    for scope, column in SCOPES.items():
        sources = [(sold, "customer_id"), *([(resold, "account_id")] if scope == BudgetScope.MODEL else [])]
        scoped = _hashes_of([part for part in parts if part[1] == scope], key)
        for walked, account in sources if len(scoped) else ():
            wanted.append(_Rows.of_lines(walked, account, scope, column, key, scoped))
    owed, there = _Rows.joined(wanted), _Rows.of_entries(entries, key)
    if owed is None or there is None:
        return False
    return all(
        np.array_equal(mine, theirs)
        for mine, theirs in zip((*owed.counted(), *owed.charged()), (*there.counted(), *there.charged()), strict=True)
    )


def _placed(found: Entries, entries: Walked, key: Key) -> bool:
    """Whether each entry names the page and its place in it, and has the id that these make."""
    page, count = found.page, len(found.lines)
    place = {name: page[name] for name in ("partition", "first_offset", "last_offset")}
    if any((entries.numbers(name) != wanted).any() for name, wanted in {**place, "line": np.arange(count)}.items()):
        return False
    ids = texts([charge_id(page["partition"], page["first_offset"], number) for number in range(count)])
    return np.array_equal(text_hashes(entries, "entry_id", key), hashed(ids, key))


def text_hashes(walked: Walked, name: str, key: Key) -> U64:
    column = walked.columns[name]
    assert column.begin is not None and column.size is not None
    return hashed(Text(walked.data, column.begin, column.size), key)


def mixed(key: Key, first: U64, *others: U64 | I64) -> U64:
    for other in others:
        first = key.number(first, other.view(np.int64))
    return first


def _hashes_of(parts: Sequence[Part], key: Key) -> U64:
    accounts = hashed(texts([account_id for account_id, _, _ in parts]), key)
    return mixed(key, accounts, hashed(texts([scope_id for _, _, scope_id in parts]), key))


@dataclass(frozen=True)
class _Rows:
    """Rows to be added up by ``key``, those with an amount by ``priced_key``. ``money`` has the limbs of the charge and
    of its provisional part."""

    key: U64
    counts: Sequence[I64]
    priced_key: U64
    money: Sequence[I64]

    @staticmethod
    def joined(rows: Sequence[_Rows | None]) -> _Rows | None:
        made = [one for one in rows if one is not None]
        if len(made) < len(rows):
            return None
        return _Rows(
            np.concatenate([one.key for one in made]),
            [np.concatenate(column) for column in zip(*(one.counts for one in made), strict=True)],
            np.concatenate([one.priced_key for one in made]),
            [np.concatenate(column) for column in zip(*(one.money for one in made), strict=True)],
        )

    @staticmethod
    def of_lines(
        lines: Walked, account: str, scope: str | None, column: str | None, key: Key, among: U64 | None = None
    ) -> _Rows | None:
        """Of the lines whose (account, part) is ``among`` those; None: of all."""
        accounts, count = text_hashes(lines, account, key), len(lines.ok)
        part = hashed(texts([None]), key).repeat(count) if column is None else text_hashes(lines, column, key)
        chosen = np.ones(count, bool) if among is None else np.isin(mixed(key, accounts, part), among)
        scopes = hashed(texts([scope]), key).repeat(count)
        level = lines.numbers("level") if "level" in lines.columns else np.zeros(count, np.int64)
        day = lines.numbers("occurred_hour") // DAY_US
        money = unscaled_limbs(lines, "charge")
        if money is None:
            return None
        priced = lines.sizes("charge") != NULL
        counts = [lines.numbers(name) for name in COUNTS.values()]
        counts.append(np.where(priced, 0, lines.numbers("events")))
        provisional = lines.numbers("provisional") != 0
        limbs = [*money, *(np.where(provisional, limb, 0) for limb in money)]
        keyed = mixed(key, accounts, scopes, part, level, day)
        return _Rows._made(key, keyed, counts, text_hashes(lines, "currency", key), limbs, priced, chosen)

    @staticmethod
    def of_entries(entries: Walked, key: Key) -> _Rows | None:
        """All but those of end users' budgets."""
        charge, provisional = unscaled_limbs(entries, "amount"), unscaled_limbs(entries, "provisional_amount")
        if charge is None or provisional is None:
            return None
        scopes = text_hashes(entries, "scope", key)
        chosen = scopes != hashed(texts([BudgetScope.END_USER]), key)[0]
        parts = [text_hashes(entries, "account_id", key), scopes, text_hashes(entries, "scope_id", key)]
        keyed = mixed(key, *parts, entries.numbers("level"), entries.numbers("occurred_day") // DAY_US)
        counts = [entries.numbers(name) for name in _SUMMED]
        money = [-limb for limb in (*charge, *provisional)]
        priced = entries.sizes("amount") != NULL
        return _Rows._made(key, keyed, counts, text_hashes(entries, "currency", key), money, priced, chosen)

    @staticmethod
    def _made(
        key: Key, keyed: U64, counts: Sequence[I64], currency: U64, money: Sequence[I64], priced: Bools, chosen: Bools
    ) -> _Rows:
        priced = priced & chosen
        priced_key = mixed(key, keyed, currency)[priced]
        return _Rows(keyed[chosen], [one[chosen] for one in counts], priced_key, [one[priced] for one in money])

    def counted(self) -> list[Any]:
        """Keys in their order, and the sums of the counts."""
        return _sums(self.key, self.counts)

    def charged(self) -> list[Any]:
        """Keys in their order, and the limbs of the sums."""
        keys, *limbs = _sums(self.priced_key, self.money)
        return [keys, *carried(limbs[0], limbs[1]), *carried(limbs[2], limbs[3])]


def _sums(keys: U64, columns: Sequence[I64]) -> list[Any]:
    if not len(keys):
        return [keys, *(np.empty(0, np.int64) for _ in columns)]
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return [ordered[begins], *(np.add.reduceat(column[order], begins) for column in columns)]
