"""Superset's boards as code.

Owns the charts, their layout and what publishes them. Promises that publishing twice changes nothing, that what is
taken out of the code leaves Superset while what users made stays, and that every published chart has answered a query.
Must never read a table: charts see the views of ClickHouse's database ``boards`` alone.
"""

from tokenmeter.boards.board import Board
from tokenmeter.boards.database import Database
from tokenmeter.boards.every import BOARDS
from tokenmeter.boards.publish import Published, publish

__all__ = ["BOARDS", "Board", "Database", "Published", "publish"]
