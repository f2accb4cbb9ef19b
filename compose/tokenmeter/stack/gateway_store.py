"""What the gateway asks of ClickHouse: the calls that corrections name. A client for each thread that asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokenmeter.events.errors import Transient
from tokenmeter.store.client import connect
from tokenmeter.store.corrected import Call, existing

QUERY_TIMEOUT_S = 20
Answer = TypeVar("Answer")


class GatewayStore:
    """Connects when it is first asked: a gateway starts without its store. Transient when that does not answer."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._place = url, user, password
        self._threads = threading.local()

    def existing(self, customer_id: str, calls: Collection[Call]) -> set[Call]:
        """See store.corrected."""
        return self._ask(lambda client: existing(client, customer_id, calls))

    def _ask(self, question: Callable[[Client], Answer]) -> Answer:
        try:
            client = getattr(self._threads, "client", None)
            if client is None:
                client = self._threads.client = connect(*self._place, query_timeout_s=QUERY_TIMEOUT_S)
            return question(client)
        except ClickHouseError as error:
            self._threads.client = None
            raise Transient(f"ClickHouse did not answer: {str(error).splitlines()[0][:200]}") from error
