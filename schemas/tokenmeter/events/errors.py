"""Every error tokenmeter raises on purpose, in one tree. The class alone decides what happens next.

    TokenmeterError
    ├── Transient      try again: the other side may answer next time
    │   └── BufferFull       the emitter's buffer has no room; wait, or slow the caller
    ├── Poison         quarantine: this one value can never be used, its neighbours can
    └── Fatal          exit: going on would lose, double or misprice something
        ├── Misconfigured    a setting, an address or a topic is not as it must be
        ├── Undelivered      events that were accepted did not reach Kafka
        ├── SpoolUnusable    the spool on disk is damaged, or its disk fails
        ├── Refused          ClickHouse takes other rows of this kind, but not these values
        └── Fenced           another owner has taken this partition

An error carries the thing, the range and the cause in its message, and in ``hint`` the next command to run.
"""


class TokenmeterError(Exception):
    """Root of the tree. ``hint`` is the next command or action, or None where there is none."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (next: {self.hint})" if self.hint else self.message


class Transient(TokenmeterError):
    """The same call may succeed later; retry within a bound."""


class BufferFull(Transient):
    """The emitter holds as many unacknowledged events as it was allowed to."""


class Poison(TokenmeterError):
    """One value cannot be used. ``reason`` is a short stable word, the message says the detail."""

    def __init__(self, reason: str, detail: str, *, hint: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}", hint=hint)
        self.reason = reason
        self.detail = detail


class Fatal(TokenmeterError):
    """Crash, restart and recover is the only way on."""


class Misconfigured(Fatal):
    """A setting, an address or a topic is not as it must be."""


class Undelivered(Fatal):
    """``count`` accepted events were not acknowledged by Kafka."""

    def __init__(self, count: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.count = count


class SpoolUnusable(Fatal):
    """The spool on disk is damaged, or its disk fails; what it holds is left as it is."""


class Fenced(Fatal):
    """Another owner initialised the same transactional id: this one must stop."""


class Refused(Fatal):
    """ClickHouse took none of the rows for what is in them. ``by_row``: each may be tried alone and be at fault; else
    only fewer at a time may be taken."""

    def __init__(self, message: str, *, by_row: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.by_row = by_row
