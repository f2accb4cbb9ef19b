"""Whether Kafka lets a client in, found out before any work begins; and the same way in for Faust's clients.

confluent-kafka tries a wrong password again and again, and in the end says only that it waited in vain; the reason
reaches nobody but the listener that is set here.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from tokenmeter.events.access import HANGS_UP, SILENT
from tokenmeter.events.errors import Misconfigured

ACCESS_WAIT_S = 5.0
"""A broker that says neither yes nor no within this time is away: whoever needs it says so."""
LOOK_S = 0.25
SURE_S = 1.0
"""A broker that refuses for so long means it: a user may be a moment old, and a broker that stops hangs up, too."""
_REFUSED = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL}
_AWAY = {KafkaError._TRANSPORT, KafkaError._RESOLVE}
_HANDSHAKE = "SSL handshake failed"
_WHERE = re.compile(r"^\S+://\S+: |\s*\(after \d+ms in state \w+\)")
"""What librdkafka says around the cause."""


def require_access(client: Mapping[str, Any], within_s: float = ACCESS_WAIT_S) -> None:
    """Raises Misconfigured naming the brokers, the user and the cause when Kafka does not let this client in.

    Returns when it does, and when the brokers are away.
    """
    heard: list[KafkaError] = []
    settings: dict[str, Any] = {**client, **SILENT, "error_cb": heard.append, "log_level": 0}
    admin = AdminClient(settings)
    deadline, heard_at = time.monotonic() + within_s, inf
    while time.monotonic() < deadline:
        try:
            admin.list_topics(timeout=LOOK_S)
            return
        except KafkaException:
            admin.poll(LOOK_S)
        found = refusal(client, heard)
        codes = {one.code() for one in heard}
        heard_at = min(heard_at, time.monotonic() if heard else inf)
        if time.monotonic() - heard_at > SURE_S:
            if found is not None:
                raise found
            if KafkaError._ALL_BROKERS_DOWN in codes and codes & _AWAY:
                return  # on a busy machine a connection may be lost before it is refused


def refusal(client: Mapping[str, Any], heard: Sequence[KafkaError]) -> Misconfigured | None:
    """What is said of a client that Kafka does not let in; None while nothing that it heard says so."""
    servers, user = client["bootstrap.servers"], client.get("sasl.username")
    for one in heard:
        why = " ".join(_WHERE.sub("", one.str()).split())
        if one.code() == KafkaError._SSL or _HANDSHAKE in why:
            return Misconfigured(
                f"no TLS with Kafka at {servers}: {why}",
                hint="TOKENMETER_KAFKA_CA=FILE with the certificate to trust; unset it where Kafka speaks no TLS",
            )
        if one.code() in _REFUSED:
            return Misconfigured(
                f"Kafka at {servers} refuses user {user}: {why}",
                hint="check TOKENMETER_KAFKA_USER and TOKENMETER_KAFKA_PASSWORD",
            )
    away = {one.code() for one in heard if HANGS_UP not in one.str()} & _AWAY
    if heard and "security.protocol" not in client and not away:
        return Misconfigured(
            f"Kafka at {servers} closes the connection of a client without a user",
            hint="set TOKENMETER_KAFKA_USER, _PASSWORD and, for TLS, _CA; of a local stack: --data DIR",
        )
    return None


def ssl_context(client: Mapping[str, Any]) -> ssl.SSLContext | None:
    """TLS for Faust's clients as confluent-kafka's settings ask for it; None where they do not."""
    if not str(client.get("security.protocol", "")).upper().endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=client.get("ssl.ca.location"))
    if client.get("ssl.endpoint.identification.algorithm") == "none":
        context.check_hostname = False
    if certificate := client.get("ssl.certificate.location"):
        context.load_cert_chain(certificate, client.get("ssl.key.location"), client.get("ssl.key.password"))
    return context
