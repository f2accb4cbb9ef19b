"""The accounts as the cache knows them, and the question it answers of them. Pure: records and the time come in.

One thread folds, any number ask: an account's standing and terms are replaced whole, never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenmeter.emit.credit.answer import OK, UNKNOWN, Answer, refusing_reasons
from tokenmeter.emit.credit.standing import CLEAR, NEVER, Part, Standing, standing_of
from tokenmeter.emit.credit.terms import NO_ROW, Terms, TermsInForce
from tokenmeter.events.catalog import CHAIN_ACCOUNTS_MAX, BudgetScope, row_of
from tokenmeter.events.ledger import Reason

_NO_STATE = CLEAR._replace(clear_until=NEVER)
_LEVELS = range(CHAIN_ACCOUNTS_MAX)
_BUDGET, _EXPIRED = Reason.BUDGET.value, Reason.EXPIRED.value


class CreditBook:
    """``fail``: see FAIL_MODES."""

    def __init__(self, fail: Mapping[str, str] | None = None) -> None:
        self._refusing = refusing_reasons(fail or {})
        self._standings: dict[str, Standing] = {}
        self._terms = TermsInForce()

    def __len__(self) -> int:
        """Accounts that have a state."""
        return len(self._standings)

    def fold_state(self, account_id: str, value: bytes | None) -> None:
        """Take a record of account.state; None: there is no such account any more. Poison for what is no state."""
        if value is None:
            self._standings.pop(account_id, None)
        else:
            self._standings[account_id] = standing_of(value)

    def fold_row(self, offset: int, value: bytes | None, now: float) -> None:
        """Take a record of the catalog. Poison for what is no row."""
        self._terms.add(offset, row_of(value), now)

    def advance(self, now: float) -> None:
        """Put rows into force whose time has come."""
        self._terms.advance(now)

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
        standings, terms_of = self._standings, self._terms.by_account
        account: str | None = customer
        for _ in _LEVELS:
            if account is None:
                return OK
            if standings.get(account, _NO_STATE)[0] <= now:
                break
            terms = terms_of.get(account, NO_ROW)
            if not terms[1]:
                break
            account = terms[0]
        else:
            return OK
        return self._judge(customer, now, _parts(api_key, project, model, end_user), free)

    def _judge(self, customer: str, now: float, parts: tuple[Part, ...], free: bool) -> Answer:
        overruled: Answer | None = None
        for account, terms in self._chain(customer):
            reason = self._reason(account, terms, now, parts, free)
            if reason in self._refusing:
                return Answer(False, str(reason), account)
            if reason is not None and overruled is None:
                overruled = Answer(True, reason, account)
            # A level above sells models; it knows nothing of its customer's keys, projects and users.
            parts = tuple(part for part in parts if part[0] == BudgetScope.MODEL)
        return overruled or OK

    def _chain(self, customer: str) -> Iterator[tuple[str, Terms]]:
        """The accounts from the customer up, as the meter charges them; a loop ends where it closes."""
        account: str | None = customer
        seen: list[str] = []
        while account is not None and account not in seen and len(seen) < CHAIN_ACCOUNTS_MAX:
            seen.append(account)
            terms = self._terms.by_account.get(account, NO_ROW)
            yield account, terms
            account = terms.parent_id

    def _reason(self, account: str, terms: Terms, now: float, parts: tuple[Part, ...], free: bool) -> str | None:
        """Why the account alone does not allow the call, in the ledger's order; None: it does."""
        standing = self._standings.get(account)
        if standing is None and terms is NO_ROW:
            return UNKNOWN
        known = _NO_STATE if standing is None else standing
        # The row is newer than the state: the ledger writes that only after it has read the row.
        stopped = terms.stopped if terms.has_row else known.stopped
        if stopped is not None:
            return stopped
        if free:
            return None
        refused = terms.opening if standing is None else known.refused
        if refused is not None:
            return refused
        if known.runs_out_at <= now:
            return _EXPIRED
        if known.budget_until > now or terms.blocks(BudgetScope.ACCOUNT, None):
            return _BUDGET
        if any(part in parts and until > now for part, until in known.parts):
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
