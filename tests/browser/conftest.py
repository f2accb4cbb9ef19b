"""The boards in a real Superset over a small market, and a browser that is logged in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.client import Client

from support.board_rows import fill
from support.clickhouse import migrated
from support.superset import shared_node
from tokenmeter.boards import Database, publish
from tokenmeter.store.client import connect

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="package")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The writer of the ClickHouse that the published boards read."""
    with migrated(tmp_path_factory.mktemp("browser")) as server:
        client = connect(server.url, "writer", "secret")
        fill(client)
        node = shared_node()
        publish(node.url, node.user, node.password, Database(server.url, "reader", "look"))
        yield client


@pytest.fixture(scope="module")
def page(stored: Client) -> Iterator[Page]:
    # Imported here: without playwright the tests that ask for a page are skipped before this runs.
    from browser.chromium import logged_in

    node = shared_node()
    with logged_in(node.url, node.user, node.password) as page:
        yield page
