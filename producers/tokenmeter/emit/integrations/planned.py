"""A call that began through a client, how it is sent, and what is sent instead if what we added is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tokenmeter.emit.integrations.asking import Question
from tokenmeter.emit.integrations.call import Call


@dataclass(slots=True)  # frozen ones take three times as long to make
class Planned:
    """A call that began, and how it is sent.

    ``hides`` says which chunks the caller must not see, for only we asked for them. ``question`` is what we ask beyond
    what the caller wrote, and ``written`` are the caller's own arguments while they are not what is sent. ``settle``
    ends the call with an answer that is whole; without, Call.done.
    """

    call: Call
    arguments: dict[str, Any]
    hides: Callable[[Any], bool] | None = None
    question: Question | None = None
    written: dict[str, Any] | None = None
    settle: Callable[[Call, Any], None] = Call.done

    def again(self, error: BaseException) -> Planned | None:
        """What to send after ``error``: the request as its caller wrote it, if what we added may be the reason."""
        if self.question is not None and self.written is not None and isinstance(error, Exception):
            status = getattr(error, "status_code", None)
            if self.question.refused_by(status if isinstance(status, int) else None, str(error)):
                return replace(self, arguments=self.written, hides=None, written=None)
        self.call.failed(error)
        return None

    def answered(self) -> None:
        """The server answered what was sent: remember whether it may be asked."""
        if self.question is not None and self.written is not None:
            self.question.taken()
        elif self.question is not None:
            self.question.needless()
