"""The way into Kafka as Faust's clients take it, from the settings of confluent-kafka's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from tokenmeter.kafka.access import ssl_context


def credentials(client: Mapping[str, Any]) -> Credentials | None:
    """For faust.App's ``broker_credentials``; None for brokers that ask for nothing."""
    context = ssl_context(client)
    if client.get("sasl.username") is not None:
        return SASLCredentials(
            username=client["sasl.username"],
            password=client.get("sasl.password", ""),
            mechanism=client.get("sasl.mechanism", client.get("sasl.mechanisms")),
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)
