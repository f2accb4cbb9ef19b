"""What the tests of the integrations share: a provider's server, a sink that keeps events, and a meter between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.provider_server import ProviderServer, provider_server
from support.sinks import Kept
from tokenmeter.emit.integrations import Meter


@pytest.fixture(scope="module")
def server() -> Iterator[ProviderServer]:
    with provider_server() as running:
        yield running


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def meter(sink: Kept) -> Meter:
    return Meter(sink, background=False, customer_id="acme")
