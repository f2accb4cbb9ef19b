"""The controls of ``make week``: with this folder on its path, a worker does not look whether it knows what it gets.

``WEEK_MUTANT``: repeats, an event that came before; log, a log that is not the one it began with. Python runs this file
whenever it starts; the stack's other parts are left as they are.
"""

import os
import sys

WORKERS = {"meter", "load", "ledger", "watch"}

if os.environ.get("WEEK_MUTANT") == "repeats" and "meter" in sys.orig_argv:
    import numpy as np

    from tokenmeter.flow.meter import dedup

    def never_seen(self: dedup.Horizon, batch: dedup.DedupKeys) -> "np.typing.NDArray[np.int8]":
        """No identity is looked up."""
        return np.full(len(batch), dedup.FRESH, np.int8)

    dedup.Horizon.admit = never_seen  # type: ignore[method-assign]

if os.environ.get("WEEK_MUTANT") == "log" and WORKERS & {*sys.orig_argv}:
    from collections.abc import Iterator, Mapping

    from tokenmeter.kafka import identity
    from tokenmeter.store import topics

    def unchanged(known: identity.LogIdentity, there: identity.LogIdentity) -> Iterator[str]:
        """Whatever is there is what is known."""
        return iter(())

    def none_anew(known: Mapping[str, str], ids: Mapping[str, str]) -> list[str]:
        """The store is believed to be of any log."""
        return []

    identity.changes = unchanged
    topics.made_anew = none_anew
