"""Which grants the ledger wrote an EXPIRY for: from then on, before it counts, a grant gets nothing back. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tokenmeter.events import wire
from tokenmeter.events.errors import Poison
from tokenmeter.events.ledger import EntryKind

_PREFIX = "expiry/"
_BYTES = _PREFIX.encode()

Expiries = dict[str, list[tuple[int, str]]]
"""By account: when it was written, in ms, and which grant expires."""


def read_expiries(values: Iterable[bytes | None]) -> Expiries:
    """The expiries among entries."""
    found: Expiries = defaultdict(list)
    for value in values:
        if value is None or _BYTES not in value:
            continue
        try:
            entry = wire.decode(value, expect="ledger_entry").record
        except Poison:
            continue
        if entry["kind"] == EntryKind.EXPIRY and entry["entry_id"] == f"{_PREFIX}{entry['grant_id']}":
            found[entry["account_id"]].append((round(entry["made_at"].timestamp() * 1_000), entry["grant_id"]))
    return dict(found)
