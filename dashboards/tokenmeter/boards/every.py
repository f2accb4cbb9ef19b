"""Every board this version publishes; the first is where ``tokenmeter up`` points."""

from __future__ import annotations

from tokenmeter.boards.alerts import ALERTS
from tokenmeter.boards.board import Board
from tokenmeter.boards.calls import CALLS
from tokenmeter.boards.market import MARKET

BOARDS: tuple[Board, ...] = (MARKET, CALLS, ALERTS)
