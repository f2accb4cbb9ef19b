"""The control of ``make week``: with this folder on its path, a meter takes each event for a new one.

Python runs this file whenever it starts; the stack's other parts are left as they are.
"""

import sys

if "meter" in sys.orig_argv:
    import numpy as np

    from tokenmeter.flow import dedup

    def never_seen(self: dedup.Horizon, batch: dedup.Marks) -> "np.typing.NDArray[np.int8]":
        """No identity is looked up."""
        return np.full(len(batch), dedup.FRESH, np.int8)

    dedup.Horizon.mark = never_seen  # type: ignore[method-assign]
