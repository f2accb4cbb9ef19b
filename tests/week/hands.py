"""Does one action to the stack, and says when its disturbance was over: from then on its part may be expected back."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

import httpx

from support import disk
from week import plan
from week.customers import NUMBERS, Customers
from week.plan import Action
from week.stack import PARENT, UsersStack

STRANGE_S = 10.0
"""A worker that does not look whose log it is has metered and loaded by then, unless the machine is busy."""
_STRANGERS = f"SELECT count() FROM tokenmeter.usage_billing WHERE customer_id >= 'customer-{NUMBERS['strange']}'"


@dataclass
class Hands:
    """``strange_s``: how long another log may stay before its own comes back. ``calm_beside_another_log``: how often
    ``status`` found all well although the log was a stranger's."""

    stack: UsersStack
    traffic: Customers
    strange_s: float = STRANGE_S
    calm_beside_another_log: int = 0

    def do(self, action: Action) -> float:
        """Returns at what time (monotonic seconds) whoever was disturbed could begin to come back."""
        time.sleep(action.pause_s)
        if action.kind == plan.AHEAD:
            self.traffic.send_ahead()
        elif action.kind == plan.FULL:
            disk.fill(self.stack.data)
            try:
                time.sleep(action.hold_s)
            finally:
                disk.free(self.stack.data)
        elif action.kind == plan.FREEZE:
            pid_of = self.stack.pid(action.part)
            self.stack.signal(action.part, signal.SIGSTOP)
            time.sleep(action.hold_s)
            if self.stack.pid(action.part) == pid_of:
                self.stack.signal(action.part, signal.SIGCONT)
        elif action.kind == plan.ANOTHER:
            return self._another_log()
        elif action.part == PARENT:
            return self._parent_dies()
        else:
            number = {plan.KILL: signal.SIGKILL, plan.HANG: signal.SIGSTOP, plan.RESTART: signal.SIGTERM}[action.kind]
            self.stack.signal(action.part, number)
        return time.monotonic()

    def _parent_dies(self) -> float:
        self.stack.signal(PARENT, signal.SIGKILL)
        self.stack.wait_gone()
        began = time.monotonic()
        self.stack.up()
        return began

    def _another_log(self) -> float:
        """The load pauses: what the stranger's log acknowledged would be gone with it."""
        own, kept = self.stack.data / "kafka", self.stack.data / "kafka-kept"
        with self.traffic.paused():
            self.stack.down()
            own.rename(kept)
            self.stack.up()
            self.traffic.send_strange()
            deadline = time.monotonic() + self.strange_s
            while time.monotonic() < deadline and not self._strangers():
                time.sleep(0.5)
            code, _ = self.stack.run("status")
            self.calm_beside_another_log += code == 0
            self.stack.down()
            shutil.rmtree(own)
            kept.rename(own)
            began = time.monotonic()
            self.stack.up()
        return began

    def _strangers(self) -> int:
        """How many lines of a stranger's are in the store."""
        with suppress(httpx.HTTPError):
            return int(self.stack.ask(_STRANGERS))
        return 0
