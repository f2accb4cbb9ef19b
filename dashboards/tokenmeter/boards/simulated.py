"""Says on every board that what it shows is simulated, for as long as ClickHouse holds a simulated row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokenmeter.boards.board import Board
from tokenmeter.boards.rest import Rest

NOTE = (
    "⚠️ **Simulated market**, not usage: published weeks are met exactly, the rest is made up. "
    "`tokenmeter simulate remove` ends it."
)
VIEW = "simulation"
ANY_SQL = f"SELECT lines + calls AS rows FROM boards.{VIEW}"


def labelled(rest: Rest, database_id: int, boards: Sequence[Board], views: Sequence[str]) -> Sequence[Board]:
    """``boards``, with a note above them while there are simulated rows. ``views`` are what ClickHouse has."""
    if VIEW not in views:
        return boards
    body = {"database_id": database_id, "sql": ANY_SQL, "runAsync": False, "queryLimit": 1}
    if not int(rest.post("sqllab/execute/", body)["data"][0]["rows"]):
        return boards
    return [replace(board, note=NOTE if board.note is None else f"{NOTE}\n\n{board.note}") for board in boards]
