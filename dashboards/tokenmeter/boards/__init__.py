"""Superset's boards as code.

Owns the charts, their layout and what publishes them. Promises that publishing twice changes nothing, that a chart
taken out of the code leaves Superset, and that every published chart has answered a query.
Must never read a table: charts see the views of ClickHouse's database ``boards`` alone.
"""

from tokenmeter.boards.publish import Database, Published, publish

__all__ = ["Database", "Published", "publish"]
