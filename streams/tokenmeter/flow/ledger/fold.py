"""A frame of entries, booked on many accounts: charges in columns where that is the same as one by one.

Charges that only take off, of one account in the same five minutes, are added up and booked at once if no line is
crossed by their sum: sums do not turn back, so none was crossed on the way, and a sum is drawn from the grants as its
parts are. Every other account's entries are booked one by one in the order of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import polars as pl

from tokenmeter.events.catalog_row import BudgetScope
from tokenmeter.events.contract import DAY_MS
from tokenmeter.events.ledger import Alert, EntryKind, LedgerEntry
from tokenmeter.flow.ledger.account import Account, Position
from tokenmeter.flow.ledger.drawdown import draw
from tokenmeter.flow.ledger.entry import AT_MS, BUCKET_MS, OFFSET, entries_of
from tokenmeter.flow.ledger.expiry import Expiries, expire
from tokenmeter.flow.ledger.fits import Sum, fits
from tokenmeter.flow.ledger.post import post, spend
from tokenmeter.flow.ledger.reconsider import reconsider
from tokenmeter.flow.ledger.roll import roll
from tokenmeter.flow.ledger.state import shown
from tokenmeter.flow.ledger.terms import LedgerRules, TermsBook

_BUCKET = "_bucket"
_DAY = "_day"
_SCOPES = [scope for scope in BudgetScope if scope != BudgetScope.ACCOUNT]
_ODD = (
    (pl.col("kind") != EntryKind.CHARGE)
    | (pl.col("amount") > 0)
    | (pl.col("unpriced") < 0)
    | pl.any_horizontal(pl.col("partition", "first_offset", "line", "occurred_day").is_null())
    | (pl.col("scope").is_null() != pl.col("scope_id").is_null())
    | pl.col("billed_amount").is_not_null()
    | ~pl.col("scope").is_in(_SCOPES).fill_null(True)
).fill_null(False)
"""What is never added up: whatever may give back, is refused, or is no charge."""
_SUMS = {
    "amount_pico": pl.col("amount").to_physical().cast(pl.Int128).sum(),
    "provisional_pico": pl.col("provisional_amount").to_physical().cast(pl.Int128).sum(),
    "calls": pl.col("calls").sum(),
    "unpriced": pl.col("unpriced").sum(),
    "entries": pl.len(),
    "at_ms": pl.col(AT_MS).last(),
    "first_offset": pl.col("first_offset").last(),
    "line": pl.col("line").last(),
}
_FIRST, _LINE = pl.col("first_offset"), pl.col("line")
_GOES_BACK = ((_FIRST.diff() < 0) | ((_FIRST.diff() == 0) & (_LINE.diff() <= 0))).any().alias("goes_back")


class Books:
    """The accounts of one partition of ledger.entries; ``changed`` are those that a new state is due for."""

    def __init__(self, terms: TermsBook, rules: LedgerRules, partition: int) -> None:
        self._terms = terms
        self._rules = rules
        self._partition = partition
        self._clock_ms = 0
        self._newest: dict[int, Position] = {}
        self.accounts: dict[str, Account] = {}
        self.changed: dict[str, Account] = {}
        self.expiries = Expiries()

    def restore(self, accounts: Iterable[Account]) -> None:
        """Take over accounts as their states say."""
        accounts = list(accounts)
        for account in accounts:
            self.accounts[account.account_id] = account
            self._clock_ms = max(self._clock_ms, account.as_of_ms)
            for partition, position in account.positions.items():
                self._newest[partition] = max(self._newest.get(partition, position), position)
        self.expiries.watch(accounts)

    def reconsider(self, account_ids: Iterable[str], at_ms: int, row_id: str) -> list[Alert]:
        """Judge accounts anew whose terms the catalog's row ``row_id`` changed. After a restart that is every account
        with a row: a new state is due only for those of which it says something new."""
        told: list[Alert] = []
        for account_id in account_ids:
            account = self.accounts.get(account_id)
            if account is None:
                continue
            terms, judged_by = self._terms.terms(account_id), account.judged_by
            before = account.shown if judged_by is None else shown(account, judged_by, self._rules)
            if judged_by is None and shown(account, terms, self._rules) == before:
                continue  # nothing changed while the ledger was down
            alerts = reconsider(account, terms, self._rules, max(at_ms, self._clock_ms), row_id)
            if alerts or shown(account, terms, self._rules) != before:
                self.changed[account_id] = account
            told += alerts
        return told

    def expire(self) -> list[LedgerEntry]:
        """The expiries that are due: to be written to ledger.entries with the states that say they are."""
        made: list[LedgerEntry] = []
        self.expiries.watch(self.changed.values())
        for account_id in self.expiries.due(self._clock_ms):
            account = self.changed[account_id] = self.accounts[account_id]
            made += expire(account, self._clock_ms)
            self.expiries.watch([account])
        return made

    def fold(self, frame: pl.DataFrame, at_ms: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> list[Alert]:
        """Book the entries of a decoded frame; ``at_ms`` is broker time, which is never taken to go back."""
        if not frame.height:
            return []
        clock = np.maximum(np.maximum.accumulate(at_ms), self._clock_ms)
        self._clock_ms = int(clock[-1])
        frame = frame.with_columns(pl.Series(AT_MS, clock), pl.Series(OFFSET, offsets))
        odd = frame["account_id"] if self._repeats(frame) else frame.filter(_ODD)["account_id"].unique()
        one_by_one: dict[str, int] = dict.fromkeys(odd, 0)
        summed = frame.filter(~pl.col("account_id").is_in(odd.implode())) if len(odd) else frame
        told = self._fold_sums(summed, one_by_one)
        if one_by_one:
            told += self._fold_each(frame, one_by_one)
        return told

    def _repeats(self, frame: pl.DataFrame) -> bool:
        """Whether some page's charges came twice or out of order; remembers the newest of each partition."""
        charges = frame.filter(pl.col("kind") == EntryKind.CHARGE, pl.col("partition").is_not_null())
        found = charges.group_by("partition").agg(
            _GOES_BACK, _FIRST.first().alias("f0"), _LINE.first().alias("l0"), _FIRST.last(), _LINE.last()
        )
        repeats = False
        for partition, goes_back, first_offset, first_line, last_offset, last_line in found.iter_rows():
            newest = self._newest.get(partition)
            repeats |= goes_back or (newest is not None and (first_offset, first_line) <= newest)
            last = (last_offset, last_line)
            self._newest[partition] = last if newest is None else max(newest, last)
        return repeats

    def _fold_sums(self, frame: pl.DataFrame, one_by_one: dict[str, int]) -> list[Alert]:
        """Book what can be booked as sums. An account that cannot is put into ``one_by_one`` with the five minutes from
        which on its entries are to be booked singly."""
        told: list[Alert] = []
        for (account_id, bucket), rows in _sums_of(frame):
            if account_id in one_by_one:
                continue
            terms = self._terms.terms(account_id)
            account = self._account(account_id, terms.currency)
            told += roll(account, terms, self._rules, bucket)
            if not fits(account, terms, rows):
                one_by_one[account_id] = bucket
                continue
            for row in rows:
                account.version += row.entries
                # The rows of one account come in any order.
                account.as_of_ms = max(account.as_of_ms, row.at_ms)
                position = (row.first_offset, row.line)
                account.positions[row.partition] = max(account.positions.get(row.partition, position), position)
                if row.scope is None:
                    draw(account, -row.amount_pico)
                    account.charged_pico -= row.amount_pico
                    account.provisional_pico -= row.provisional_pico
                    account.calls += row.calls
                    account.unpriced += row.unpriced
                    account.burn[bucket] = account.burn.get(bucket, 0) - row.amount_pico
                if terms.budgets:
                    spend(account, terms, row.scope, row.scope_id, row.day, -row.amount_pico)
        return told

    def _fold_each(self, frame: pl.DataFrame, since: dict[str, int]) -> list[Alert]:
        """Book the entries of the accounts in ``since`` one by one, from its five minutes on."""
        told: list[Alert] = []
        chosen = pl.DataFrame({"account_id": list(since), "_since": list(since.values())})
        entries = frame.join(chosen, on="account_id", maintain_order="left")
        for entry in entries_of(entries.filter(pl.col(AT_MS) // BUCKET_MS >= pl.col("_since")), self._partition):
            terms = self._terms.terms(entry.account_id)
            account = self._account(entry.account_id, terms.currency)
            told += post(account, terms, self._rules, entry)
        return told

    def _account(self, account_id: str, currency: str) -> Account:
        account = self.accounts.get(account_id)
        if account is None:
            account = self.accounts[account_id] = Account(account_id, currency)
        self.changed[account_id] = account
        return account


def _sums_of(frame: pl.DataFrame) -> Iterator[tuple[tuple[str, int], list[Sum]]]:
    """The charges of ``frame`` added up, by account and five minutes, in this order."""
    if not frame.height:
        return
    keyed = frame.with_columns(
        (pl.col(AT_MS) // BUCKET_MS).alias(_BUCKET),
        (pl.col("occurred_day").dt.epoch("ms") // DAY_MS).alias(_DAY),
    )
    keys = ["account_id", _BUCKET, "currency", "partition", "scope", "scope_id", _DAY]
    by = [key for key in keys if keyed[key].null_count() < keyed.height]  # grouping by what is null costs as much
    found = keyed.group_by(by).agg(**_SUMS).sort("account_id", _BUCKET)
    rows = found.with_columns(pl.lit(None).alias(key) for key in keys if key not in by).select(*keys, *_SUMS)
    yield from ((key, list(group)) for key, group in groupby(map(Sum._make, rows.iter_rows()), itemgetter(0, 1)))
