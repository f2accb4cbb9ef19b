"""What the gateway asks of ClickHouse: usage, and what corrections name. A client for each thread that asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokenmeter.events.errors import Misconfigured, TokenmeterError, Transient
from tokenmeter.store.client import connect
from tokenmeter.store.corrected import Call, existing
from tokenmeter.store.usage import Question, usage
from tokenmeter.store.usage_loaded import PagesRead
from tokenmeter.store.usage_period import period

QUERY_TIMEOUT_S = 20
log = logging.getLogger("tokenmeter.gateway")
Answer = TypeVar("Answer")


class GatewayStore:
    """Connects when it is first asked: a gateway starts without its store. Transient when that does not answer.

    ``pages_read``: see store.usage_loaded; it may raise when Kafka does not answer.
    """

    def __init__(self, url: str, user: str, password: str, pages_read: Callable[[], PagesRead]) -> None:
        self._place = url, user, password
        self._pages_read = pages_read
        self._threads = threading.local()

    def existing(self, customer_id: str, calls: Collection[Call]) -> set[Call]:
        """See store.corrected."""
        return self._ask(lambda client: existing(client, customer_id, calls))

    def usage_of(self, customer_id: str, named: Mapping[str, str]) -> dict[str, Any]:
        """See store.usage; ``named``: since, until and by, as `tokenmeter usage` takes them, by separated by commas."""
        now = datetime.now(UTC)
        by = tuple(filter(None, named.get("by", "").split(",")))
        question = Question(customer_id, *period(named.get("since"), named.get("until"), now), by)
        try:
            read = self._pages_read()
        except TokenmeterError:
            read = None  # then it is told to be complete up to the newest page that is stored
        return self._ask(lambda client: usage(client, question, now, read).as_dict())

    def _ask(self, question: Callable[[Client], Answer]) -> Answer:
        client = getattr(self._threads, "client", None)
        if client is None:
            client = self._threads.client = self._connect()
        try:
            return question(client)
        except ClickHouseError as error:
            self._threads.client = None
            log.warning("ClickHouse did not answer: %s", str(error).splitlines()[0][:200])
            raise Transient("ClickHouse did not answer") from error

    def _connect(self) -> Client:
        try:
            return connect(*self._place, query_timeout_s=QUERY_TIMEOUT_S)
        except Misconfigured as error:
            log.warning("%s", error)  # callers need not hear of addresses and users
            raise Transient("ClickHouse cannot be reached") from error
