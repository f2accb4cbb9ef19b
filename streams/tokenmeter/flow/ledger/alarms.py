"""The lines of an account that are *ok* or *in alarm*: one alert when one is crossed, one record for all that recover.

    state      the line is over      the line is not over
    ok         → in alarm, OPEN      ok
    in alarm   in alarm              → ok; one RESOLVED for all of the subject that recovered with it

At the line is over it. A line whose window has ended is forgotten without a record.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenmeter.events.ledger import Alert, AlertSeverity, AlertState
from tokenmeter.flow.ledger.account import Account, Open
from tokenmeter.flow.ledger.alert import Cause, alert, time_of
from tokenmeter.flow.ledger.lines import Line


def settle(
    account: Account,
    lines: Iterable[Line],
    cause: Cause,
    prefix: str | None = None,
    subject: tuple[str, str] | None = None,
) -> list[Alert]:
    """Bring the alarms of one subject in line with ``lines``; an open alarm of ``prefix`` without a line recovers."""
    found = {line.key: line for line in lines}
    told = []
    for line in found.values():
        if line.over and line.key not in account.alarms:
            made = line.open()
            account.alarms[line.key] = Open(made.alert_id, cause.at_ms)
            told.append(made)
    recovered = [
        key
        for key in account.alarms
        if (key in found and not found[key].over)
        or (prefix is not None and key.startswith(prefix) and key not in found)
    ]
    if not recovered:
        return told
    gone = {key: account.alarms.pop(key) for key in recovered}
    text = f"{' '.join(subject or ('account', account.account_id))}: {', '.join(sorted(gone))} is over"
    resolved = alert(
        *(account, cause, "resolved/" + "/".join(gone), "resolved", AlertState.RESOLVED, AlertSeverity.INFO, text),
        subject=subject,
        resolves=tuple(one.alert_id for one in gone.values()),
        since=time_of(min(one.since_ms for one in gone.values())),
    )
    return [*told, resolved]
