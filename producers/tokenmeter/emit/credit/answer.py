"""What a gateway is told: yes or no, why, and which account says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tokenmeter.events.errors import Misconfigured
from tokenmeter.events.ledger import Reason

UNKNOWN = "unknown"
"""Neither the catalog nor the ledger has heard of the account."""
STALE = "stale"
"""The cache has not caught up with Kafka for longer than it may."""

ALLOW, REFUSE = "allow", "refuse"

FAIL_MODES: Mapping[str, str] = {
    Reason.EXHAUSTED.value: REFUSE,
    Reason.EXPIRED.value: REFUSE,
    Reason.BUDGET.value: REFUSE,
    Reason.UNPRICED.value: REFUSE,
    Reason.SUSPENDED.value: REFUSE,
    Reason.CLOSED.value: REFUSE,
    # An account without a row is postpaid without a limit: the ledger would allow it too.
    UNKNOWN: ALLOW,
    # Refusing would turn an outage of Kafka into one of every customer.
    STALE: ALLOW,
}
"""What each reason does by default."""


class Answer(NamedTuple):
    """``reason`` is ``ok`` or why not. With a fail mode of ``allow`` it is set although the call is allowed.

    ``account`` is the account that refuses: the customer or one above it; None where none does.
    """

    allowed: bool
    reason: str
    account: str | None


OK = Answer(True, Reason.OK.value, None)


def refusing_reasons(fail: Mapping[str, str]) -> frozenset[str]:
    """The reasons that refuse a call, by the defaults and what ``fail`` changes. Misconfigured for any other word."""
    for reason, mode in fail.items():
        if reason not in FAIL_MODES or mode not in (ALLOW, REFUSE):
            raise Misconfigured(
                f"fail mode {reason}={mode} is none",
                hint=f"set {ALLOW} or {REFUSE} for any of {', '.join(sorted(FAIL_MODES))}",
            )
    return frozenset(reason for reason, mode in {**FAIL_MODES, **fail}.items() if mode == REFUSE)


def fail_modes(text: str) -> dict[str, str]:
    """``stale=refuse,unknown=refuse`` as settings say it. Misconfigured for what is no reason or mode."""
    found = {}
    for one in filter(None, map(str.strip, text.split(","))):
        reason, _, mode = one.partition("=")
        found[reason.strip()] = mode.strip()
    refusing_reasons(found)
    return found
