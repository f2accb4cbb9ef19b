"""How credit is given and used up: grants in their order, then overdraft. Every function keeps

balance = Σ remaining of the grants - overdraft        granted = Σ amount of the grants
"""

from __future__ import annotations

from bisect import insort

from tokenmeter.flow.ledger.account import Account, Grant


def draw(account: Account, amount_pico: int) -> None:
    """Take ``amount_pico`` >= 0 off the balance: from the grants in drawdown order, the rest is overdraft."""
    account.balance_pico -= amount_pico
    for grant in account.grants:
        if not amount_pico:
            return
        taken = min(grant.remaining_pico, amount_pico)
        grant.remaining_pico -= taken
        amount_pico -= taken
    account.overdraft_pico += amount_pico


def give_back(account: Account, amount_pico: int, grant_id: str) -> None:
    """Undo a draw of ``amount_pico`` >= 0: overdraft first, then the grants in reverse drawdown order.

    A grant whose expiry is on its way gets nothing back. What has no place any more becomes a grant ``grant_id``.
    """
    account.balance_pico += amount_pico
    repaid = min(account.overdraft_pico, amount_pico)
    account.overdraft_pico -= repaid
    amount_pico -= repaid
    for grant in reversed(account.grants):
        if not amount_pico:
            return
        if not grant.expiring:
            filled = min(grant.amount_pico - grant.remaining_pico, amount_pico)
            grant.remaining_pico += filled
            amount_pico -= filled
    if amount_pico:
        _insert(account, Grant(grant_id, amount_pico, amount_pico, order=account.version))


def give(account: Account, grant: Grant) -> None:
    """Add a new grant; it pays the overdraft at once."""
    account.balance_pico += grant.amount_pico
    repaid = min(account.overdraft_pico, grant.amount_pico)
    account.overdraft_pico -= repaid
    grant.remaining_pico = grant.amount_pico - repaid
    _insert(account, grant)


def take_back(account: Account, grant_id: str, amount_pico: int) -> None:
    """Take ``amount_pico`` > 0 of a grant off again: what is left of it, then what it has paid is drawn elsewhere.

    The grant goes when nothing is left of it. One that is gone already has been used up: all is drawn elsewhere.
    """
    grant = next((one for one in account.grants if one.grant_id == grant_id), None)
    if grant is not None:
        taken = min(grant.remaining_pico, amount_pico)
        grant.remaining_pico -= taken
        account.balance_pico -= taken
        amount_pico -= taken
        if grant.remaining_pico:
            grant.amount_pico -= taken
            account.granted_pico -= taken
        else:
            account.grants.remove(grant)
            account.granted_pico -= grant.amount_pico
    draw(account, amount_pico)


def retire(account: Account) -> None:
    """Forget the grants that are used up: they count no longer to what thresholds are shares of."""
    account.grants = [grant for grant in account.grants if grant.remaining_pico or grant.expiring]
    account.granted_pico = sum(grant.amount_pico for grant in account.grants)


def _insert(account: Account, grant: Grant) -> None:
    account.granted_pico += grant.amount_pico
    insort(account.grants, grant, key=lambda one: one.rank)
