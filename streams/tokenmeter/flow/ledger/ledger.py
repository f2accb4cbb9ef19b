"""The ledger of one partition of ledger.entries: entries in, the states of the accounts they changed and alerts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tokenmeter.events.ledger import Alert, LedgerEntry
from tokenmeter.flow.columns.decode import INDEX, Rejected, decode
from tokenmeter.flow.ledger import state
from tokenmeter.flow.ledger.fold import Books
from tokenmeter.flow.ledger.restore import accounts_of
from tokenmeter.flow.ledger.terms import LedgerRules, TermsBook


class Ledger:
    """Knows neither Kafka nor a clock: ``fold`` is told the broker's time of each entry, ``close`` the next offset."""

    def __init__(self, terms: TermsBook, rules: LedgerRules | None = None, partition: int = 0) -> None:
        self._terms = terms
        self._rules = rules or LedgerRules()
        self._books = Books(terms, self._rules, partition)
        self.next_offset = 0
        """Entries below it are in the states that were restored."""

    def restore(self, states: Sequence[bytes | None]) -> list[Rejected]:
        """Take over the newest state of each account among ``states``, in the order of the topic; returns what is no
        state."""
        accounts, next_offset, rejected = accounts_of(states)
        self._books.restore(accounts)
        self.next_offset = max(self.next_offset, next_offset)
        return rejected

    def fold(
        self, values: Sequence[bytes | None], at_ms: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
    ) -> tuple[list[Alert], list[Rejected]]:
        """Book the values of a batch; returns the alerts of it, and what is no entry."""
        decoded = decode(values, "ledger_entry")
        places = decoded.frame[INDEX].to_numpy()
        return self._books.fold(decoded.frame, at_ms[places], offsets[places]), decoded.rejected

    def reconsider(self, account_ids: Iterable[str], at_ms: int, row_id: str) -> list[Alert]:
        """Judge accounts anew whose terms a row of the catalog changed; returns the alerts of it."""
        return self._books.reconsider(account_ids, at_ms, row_id)

    def expire(self) -> list[LedgerEntry]:
        """Entries for grants that have expired by the newest entry's time, to be written with the ``close`` that
        follows at once."""
        return self._books.expire()

    def close(self, next_offset: int) -> tuple[list[str], list[bytes]]:
        """(account ids, states) of all accounts that changed since the last close."""
        changed = self._books.changed
        values = state.encode(changed.values(), self._terms, self._rules, next_offset)
        self._books.changed = {}
        return list(changed), values

    def __len__(self) -> int:
        """The accounts it holds."""
        return len(self._books.accounts)
