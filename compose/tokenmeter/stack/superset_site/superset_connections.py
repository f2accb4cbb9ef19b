"""Connections to ClickHouse that charts use one after the other, instead of two new ones for each chart.

Superset opens a connection for every question and one more to learn the default schema; clickhouse-connect then asks
the server for its version and a thousand settings before the question itself: half of what drawing a chart costs.
A kept connection is plain HTTP without a session, so nothing of a question reaches the next. SQL Lab, where a user may
SET something, gets new ones.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

IDLE_MAX = 16
"""Connections that wait for a question; one for each thread that asks, and some of the URL before."""


class Connections:
    """Idle DBAPI connections by what they were opened with; the eldest is closed when there are too many."""

    def __init__(self, idle_max: int = IDLE_MAX) -> None:
        self._idle: deque[tuple[str, Any]] = deque()
        self._idle_max = idle_max

    def open(self, url: Any, connect_args: dict[str, Any]) -> Any:
        """A DBAPI connection to ``url`` (SQLAlchemy's), whose close() keeps it for the next."""
        dialect_class = url.get_dialect()
        given, named = dialect_class().create_connect_args(url)
        named |= connect_args
        key = json.dumps([given, named], sort_keys=True, default=str)
        for kept in list(self._idle):
            if kept[0] == key:
                try:
                    self._idle.remove(kept)
                except ValueError:  # another thread took it
                    continue
                return kept[1]
        connection = dialect_class.dbapi().connect(*given, **named, autogenerate_session_id=False)
        really_close = connection.close

        def keep() -> None:
            self._idle.append((key, connection))
            while len(self._idle) > self._idle_max:
                self._idle.popleft()[1].really_close()

        connection.really_close, connection.close = really_close, keep
        return connection


_connections = Connections()


def keep_connections(
    url: Any, engine: dict[str, Any], username: str | None, security_manager: Any, source: Any
) -> tuple[Any, dict[str, Any]]:
    """Superset's DB_CONNECTION_MUTATOR: an engine's new connections are kept ones, where it is ClickHouse's."""
    if url.get_backend_name() == "clickhousedb" and getattr(source, "name", None) != "SQL_LAB":
        engine["creator"] = lambda: _connections.open(url, engine.get("connect_args", {}))
    return url, engine


def know_the_schema() -> None:
    """The default schema is the URL's. The dialect asks the server for it, twice for each chart: a tenth of a board.

    This is private in clickhouse-connect, whose version the environment pins.
    """
    from clickhouse_connect.cc_sqlalchemy.dialect import ClickHouseDialect

    def of_url(self: Any, connection: Any) -> str:
        return connection.engine.url.database or "default"

    ClickHouseDialect._get_default_schema_name = of_url  # type: ignore[method-assign]
