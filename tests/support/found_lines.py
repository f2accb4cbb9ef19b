"""Values as the audit finds them on a topic."""

from __future__ import annotations

from collections.abc import Sequence

from tokenmeter.audit.found import FoundLine, FoundLines


def side_by_side(values: Sequence[bytes]) -> FoundLines:
    """On one partition, numbered as they stand."""
    return FoundLines.of(FoundLine(at, value, 0, at) for at, value in enumerate(values))
