"""One line of ``tokenmeter doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenmeter.events.errors import TokenmeterError


@dataclass(frozen=True)
class Finding:
    """``ok``: None is a remark. ``mend`` is the command, or the action, that puts right what is wrong."""

    what: str
    ok: bool | None
    said: str
    mend: str | None = None


Check = Callable[[], list[Finding]]


def failed(what: str, error: Exception, mend: str) -> Finding:
    """Of a check that could not be made; an error of ours brings its own way to mend it."""
    if isinstance(error, TokenmeterError):
        return Finding(what, False, error.message, error.hint or mend)
    text = (str(error).splitlines() or [""])[0][:300]
    return Finding(what, False, text or type(error).__name__, mend)


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong; remarks are not."""
    return all(one.ok is not False for one in findings)
