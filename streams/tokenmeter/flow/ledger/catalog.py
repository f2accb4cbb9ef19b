"""The terms of accounts by the catalog's rows, as of a time: rows come in the order of the topic, times only grow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from threading import Lock

from tokenmeter.events.catalog import Account, Budget, row_or_foreign
from tokenmeter.events.catalog_row import CatalogRow
from tokenmeter.events.contract import CATALOG
from tokenmeter.events.errors import Fatal, Poison
from tokenmeter.flow.ledger.terms import LedgerRules, Terms, terms_of
from tokenmeter.flow.rate.timeline import Timeline, epoch_us
from tokenmeter.kafka.logreader import LogReader

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often the catalog is asked for new rows: a new limit is in force that much later."""

Row = tuple[int, CatalogRow]
"""(offset on the topic, row)"""


class CatalogRows:
    """The rows of the topic, read once for all partitions of a worker; ``clock`` is monotonic seconds."""

    def __init__(self, log: LogReader, clock: Callable[[], float], every_s: float = LOOK_EVERY_S) -> None:
        self._log = log
        self._clock = clock
        self._every_s = every_s
        self._looked_at: float | None = None
        self._offset = 0
        self._rows: list[Row] = []
        self._lock = Lock()

    def since(self, count: int) -> list[Row]:
        """All rows but the first ``count``."""
        with self._lock:
            if self._looked_at is None or self._clock() - self._looked_at >= self._every_s:
                end = self._log.end(CATALOG, 0)
                self._rows += self._read(end)
                self._offset, self._looked_at = max(end, self._offset), self._clock()
            return self._rows[count:]

    def _read(self, end: int) -> Iterator[Row]:
        for batch in self._log.read(CATALOG, 0, self._offset, end):
            for offset, value in zip(batch.offsets().tolist(), batch.values, strict=True):
                try:
                    row = row_or_foreign(value)
                except Poison as error:
                    raise Fatal(
                        f"{CATALOG}: offset {offset} was written by a newer tokenmeter: {error}",
                        hint="upgrade this one first",
                    ) from error
                if isinstance(row, Poison):
                    log.error("%s: passed over offset %d, which is no row: %s", CATALOG, offset, row.reason)
                elif isinstance(row, Account | Budget):
                    yield offset, row


class CatalogTerms:
    """A TermsBook of the rows that are in force at a time; ``advance`` moves the time and takes new rows."""

    def __init__(self, rules: LedgerRules) -> None:
        self._rules = rules
        self._at_us = 0
        self._accounts: Timeline[str, Account] = Timeline()
        self._budgets: Timeline[tuple[object, ...], Budget] = Timeline()
        self._budgets_of: dict[str, dict[tuple[object, ...], None]] = {}
        self._later: list[tuple[int, str]] = []
        self._made: dict[str, Terms] = {}
        self._default = terms_of(None, (), rules)

    def terms(self, account_id: str) -> Terms:
        """See TermsBook."""
        return self._made.get(account_id, self._default)

    @property
    def next_change_ms(self) -> int | None:
        """The first millisecond at which a row that is known takes effect; None: none is waiting for its time."""
        return -(-self._later[0][0] // 1_000) if self._later else None

    def advance(self, at_ms: int, rows: Iterable[Row]) -> dict[str, str]:
        """Take ``rows`` and let time pass; returns the accounts whose terms changed, each with why."""
        self._at_us = max(self._at_us, at_ms * 1_000)
        touched: dict[str, str] = {}
        for offset, row in rows:
            since_us = epoch_us(row.effective_from)
            if isinstance(row, Account):
                self._accounts = self._accounts.extended([(row.account_id, since_us, offset, row)])
                account_id = row.account_id
            elif isinstance(row, Budget):
                self._budgets = self._budgets.extended([(row.key, since_us, offset, row)])
                self._budgets_of.setdefault(row.account_id, {})[row.key] = None
                account_id = row.account_id
            else:
                continue
            touched[account_id] = row.row_id
            if since_us > self._at_us:
                heappush(self._later, (since_us, account_id))
        while self._later and self._later[0][0] <= self._at_us:
            since_us, account_id = heappop(self._later)
            touched.setdefault(account_id, f"since/{since_us}")
        return {account_id: why for account_id, why in touched.items() if self._changes(account_id)}

    def _changes(self, account_id: str) -> bool:
        keys = self._budgets_of.get(account_id, {})
        budgets = [row for key in keys if (row := self._budgets.in_force(key, self._at_us)) is not None]
        made = terms_of(self._accounts.in_force(account_id, self._at_us), budgets, self._rules)
        if made == self.terms(account_id):
            return False
        self._made[account_id] = made
        return True
