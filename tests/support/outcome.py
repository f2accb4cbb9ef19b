"""What came of breaking something on purpose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """``sent`` counts distinct acknowledged events; ``lost`` and ``doubled`` are sizes of id sets, never differences
    of counts; ``wrong`` says whatever else is not as it must be; ``recover_s`` has one entry an injection."""

    injected: int
    sent: int
    lost: int = 0
    doubled: int = 0
    wrong: tuple[str, ...] = ()
    recover_s: tuple[float, ...] = ()

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)
