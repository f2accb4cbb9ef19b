"""Does one action to the stack, and says when its disturbance was over: from then on its part may be expected back."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

from week import disk, plan
from week.plan import Action
from week.stack import PARENT, UsersStack
from week.traffic import Traffic


@dataclass(frozen=True)
class Hands:
    stack: UsersStack
    traffic: Traffic

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
