"""The one way to ClickHouse: clickhouse-connect over plain HTTP, the same for the embedded and a production server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from tokenmeter.events.errors import Misconfigured

CONNECT_TIMEOUT_S = 10
QUERY_TIMEOUT_S = 300


def connect(
    url: str,
    user: str,
    password: str,
    *,
    database: str = "default",
    query_timeout_s: int = QUERY_TIMEOUT_S,
    **settings: Any,
) -> Client:
    """A client for ``http(s)://host:port``; it serves one thread at a time.

    Raises Misconfigured naming the URL when the server cannot be reached or refuses the user.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise Misconfigured(
            f"{url!r} is not a ClickHouse URL: expected http://host:port or https://host:port",
            hint="set TOKENMETER_CLICKHOUSE_URL",
        )
    try:
        return clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            secure=parts.scheme == "https",
            username=user,
            password=password,
            database=database,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=query_timeout_s,
            autogenerate_session_id=False,
            settings=settings,
        )
    except OperationalError as error:
        cause = str(getattr(error.__cause__, "reason", error)).rpartition(": ")[2]
        raise Misconfigured(
            f"ClickHouse at {url} does not answer: {cause[:300]}",
            hint="tokenmeter status, or check TOKENMETER_CLICKHOUSE_URL",
        ) from error
    except ClickHouseError as error:
        reason = str(error).splitlines()[0][:300]
        raise Misconfigured(
            f"ClickHouse at {url} did not accept user {user!r}: {reason}",
            hint="tokenmeter status, or check TOKENMETER_CLICKHOUSE_URL, _USER and _PASSWORD",
        ) from error
