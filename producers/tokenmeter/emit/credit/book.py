"""The accounts as the cache knows them, and the question it answers of them. Pure: records and the time come in.

One thread folds, any number ask: an account's standing and terms are replaced together, never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from tokenmeter.emit.credit.answer import OK, UNKNOWN, Answer, refusing_reasons
from tokenmeter.emit.credit.standing import CLEAR, NEVER, Part, Standing, standing_of
from tokenmeter.emit.credit.terms import NO_ROW, Terms, TermsInForce
from tokenmeter.events.catalog import row_of
from tokenmeter.events.catalog_row import CHAIN_ACCOUNTS_MAX, BudgetScope
from tokenmeter.events.ledger import Reason

_KINDS_MAX = 100_000


class Known(NamedTuple):
    """All that is known of an account, and first what is asked first: until when nothing of it refuses anything."""

    clear_until: float
    parent_id: str | None
    standing: Standing | None
    terms: Terms


_NOTHING = Known(NEVER, None, None, NO_ROW)
_LEVELS = range(CHAIN_ACCOUNTS_MAX)
_BUDGET, _EXPIRED = Reason.BUDGET.value, Reason.EXPIRED.value


class CreditBook:
    """``fail``: see FAIL_MODES."""

    def __init__(self, fail: Mapping[str, str] | None = None) -> None:
        self._refusing = refusing_reasons(fail or {})
        # One look-up a level: with a million accounts each costs some waits for memory, and little else costs anything.
        self._accounts: dict[str, Known] = {}
        self._rows = TermsInForce(self._terms_of, self._put_terms)

    def __len__(self) -> int:
        """Accounts of which anything is known."""
        return len(self._accounts)

    def _terms_of(self, account_id: str) -> Terms:
        return self._accounts.get(account_id, _NOTHING).terms

    def _put_terms(self, account_id: str, terms: Terms) -> None:
        self._accounts[account_id] = _known(self._accounts.get(account_id, _NOTHING).standing, terms)

    def fold_state(self, account_id: str, value: bytes | None) -> None:
        """Take a record of account.state; None: there is no such account any more. Poison for what is no state."""
        terms = self._terms_of(account_id)
        if value is None and terms == NO_ROW:
            self._accounts.pop(account_id, None)
        else:
            self._accounts[account_id] = _known(None if value is None else standing_of(value), terms)

    def fold_row(self, offset: int, value: bytes | None, now: float) -> None:
        """Take a record of the catalog. Poison for what is no row."""
        self._rows.add(offset, row_of(value), now)

    def advance(self, now: float) -> None:
        """Put rows into force whose time has come."""
        self._rows.advance(now)

    def answer(
        self,
        customer: str,
        now: float,
        api_key: str | None = None,
        project: str | None = None,
        model: str | None = None,
        end_user: str | None = None,
        free: bool = False,
    ) -> Answer:
        """Whether every account from the customer up allows the call; the lowest that refuses is named."""
        # The usual case, a microsecond's worth: nothing in the whole chain refuses anything before some later time.
        accounts = self._accounts
        account = customer
        try:
            for _ in _LEVELS:
                known = accounts[account]
                if known[0] <= now:
                    break
                if (parent := known[1]) is None:
                    return OK
                account = parent
            else:
                return OK
        except KeyError:
            pass  # nobody has heard of it; what that means is said below
        return self._judge(customer, now, _parts(api_key, project, model, end_user), free)

    def _judge(self, customer: str, now: float, parts: tuple[Part, ...], free: bool) -> Answer:
        overruled: Answer | None = None
        for account, known in self._chain(customer):
            reason = _reason(known, now, parts, free)
            if reason in self._refusing:
                return Answer(False, str(reason), account)
            if reason is not None and overruled is None:
                overruled = Answer(True, reason, account)
            # A level above sells models; it knows nothing of its customer's keys, projects and users.
            parts = tuple(part for part in parts if part[0] == BudgetScope.MODEL)
        return overruled or OK

    def _chain(self, customer: str) -> Iterator[tuple[str, Known]]:
        """The accounts from the customer up, as the meter charges them; a loop ends where it closes."""
        account: str | None = customer
        seen: list[str] = []
        while account is not None and account not in seen and len(seen) < CHAIN_ACCOUNTS_MAX:
            seen.append(account)
            known = self._accounts.get(account, _NOTHING)
            yield account, known
            account = known.parent_id


@lru_cache(_KINDS_MAX)
def _known(standing: Standing | None, terms: Terms) -> Known:
    """Shared among all accounts of which the same is known."""
    clear_until = standing.clear_until if terms.clear and standing is not None else NEVER
    return Known(clear_until, terms.parent_id, standing, terms)


def _reason(known: Known, now: float, parts: tuple[Part, ...], free: bool) -> str | None:
    """Why the account alone does not allow the call, in the ledger's order; None: it does."""
    standing, terms = known.standing or CLEAR, known.terms
    if known is _NOTHING:
        return UNKNOWN
    # The row is newer than the state: the ledger writes that only after it has read the row.
    stopped = terms.stopped if terms.has_row else standing.stopped
    if stopped is not None:
        return stopped
    if free:
        return None
    refused = terms.opening if known.standing is None else standing.refused
    if refused is not None:
        return refused
    if standing.runs_out_at <= now:
        return _EXPIRED
    if standing.budget_until > now or terms.blocks(BudgetScope.ACCOUNT, None):
        return _BUDGET
    if any(part in parts and until > now for part, until in standing.parts):
        return _BUDGET
    if terms.blocked and any(terms.blocks(*part) for part in parts):
        return _BUDGET
    return None


def _parts(api_key: str | None, project: str | None, model: str | None, end_user: str | None) -> tuple[Part, ...]:
    named = (
        (BudgetScope.KEY.value, api_key),
        (BudgetScope.PROJECT.value, project),
        (BudgetScope.MODEL.value, model),
        (BudgetScope.END_USER.value, end_user),
    )
    return tuple((scope, scope_id) for scope, scope_id in named if scope_id is not None)
