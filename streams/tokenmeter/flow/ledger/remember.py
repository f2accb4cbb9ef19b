"""Which entries an account remembers, so that each counts once, and what it forgets as time passes."""

from __future__ import annotations

from tokenmeter.events.contract import DAY_MS
from tokenmeter.events.ledger import REMEMBERED_DAYS, REMEMBERED_ENTRIES_MAX
from tokenmeter.flow.ledger import lines as lines_of
from tokenmeter.flow.ledger.account import Account, Counted
from tokenmeter.flow.ledger.check import unique_of
from tokenmeter.flow.ledger.entry import Entry
from tokenmeter.flow.ledger.windows import is_over


def remember(account: Account, entry: Entry) -> None:
    """Keep the id, and whatever else no other entry of the kind may share."""
    unique = unique_of(entry)
    account.counted_avro = None
    account.counted[entry.entry_id] = Counted(entry.digest(), entry.kind, entry.worth_pico, unique, entry.at_ms)
    if unique:
        account.references[entry.kind, unique] = entry.entry_id
    while len(account.counted) > REMEMBERED_ENTRIES_MAX:
        _forget_entry(account, next(iter(account.counted)))


def forget_entries(account: Account, at_ms: int) -> None:
    """Forget the entries that are older than the topic keeps them."""
    until_ms = at_ms - REMEMBERED_DAYS * DAY_MS
    for entry_id in [name for name, counted in account.counted.items() if counted.at_ms <= until_ms]:
        _forget_entry(account, entry_id)


def _forget_entry(account: Account, entry_id: str) -> None:
    counted = account.counted.pop(entry_id)
    account.counted_avro = None
    if counted.reference:
        del account.references[counted.kind, counted.reference]
    account.forgotten_until_ms = max(account.forgotten_until_ms or 0, counted.at_ms)


def forget_windows(account: Account, at_ms: int) -> None:
    """Forget the windows that nothing counts to any more, and their alarms."""
    for key in [key for key in account.windows if is_over(key[2], at_ms)]:
        del account.windows[key]
    for alarm in list(account.alarms):
        window = lines_of.window_of(alarm)
        if window is not None and is_over(window, at_ms):
            del account.alarms[alarm]
