"""How a client gets into Kafka: TLS and SASL, from the settings' variables or from what a local stack keeps for itself.

The same names serve the SDK and the command. A password is a variable or a file that its owner alone can read; it is
never an argument, and never printed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
MECHANISM: Mechanism = "SCRAM-SHA-512"
ADMIN = "admin"
"""The local user that may do everything: the command's."""
USERS_FILE = "kafka-users.json"
"""In a local stack's directory: its Kafka's address, and the passwords of its users."""
PREFIX = "TOKENMETER_KAFKA_"
SILENT: Mapping[str, Any] = {"enable.metrics.push": False}
"""Of every client: else librdkafka 2.8 may wait for a second when it closes, to push metrics that nobody asks for."""
HANGS_UP = "security.protocol"
"""What librdkafka tells a client to look at whose connection was closed; some versions say only that all are down."""
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Access:
    """``ca``: a file with the certificates to trust, which switches TLS on; with ``tls`` alone, the system's."""

    user: str | None = None
    password: str = field(default="", repr=False)
    mechanism: str = MECHANISM
    tls: bool = False
    ca: str | None = None

    def client(self) -> dict[str, Any]:
        """Settings of confluent-kafka's clients; empty where nothing is asked for."""
        encrypted = self.tls or self.ca is not None
        settings: dict[str, Any] = {"ssl.ca.location": self.ca} if self.ca is not None else {}
        if self.user is None:
            return {"security.protocol": "SSL", **settings} if encrypted else {}
        login = {"sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": self.password}
        return {"security.protocol": "SASL_SSL" if encrypted else "SASL_PLAINTEXT", **login, **settings}


@dataclass(frozen=True)
class Users:
    """The passwords of a local Kafka's users, by role."""

    servers: frozenset[str]
    passwords: Mapping[str, str] = field(repr=False)

    def access(self, role: str) -> Access:
        """Of a role; of nobody where there is none of that name."""
        return Access(role, self.passwords[role]) if role in self.passwords else Access()

    @classmethod
    def read(cls, data: Path) -> Users | None:
        """Those of the local stack on ``data``; None where none asks for a password, or the file is another's."""
        try:
            found = json.loads((data / USERS_FILE).read_text("utf-8"))
            return cls(frozenset(found["bootstrap"].split(",")), {str(k): str(v) for k, v in found["users"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def of_variables(variables: Mapping[str, str]) -> Access:
    """As TOKENMETER_KAFKA_USER, _PASSWORD, _SASL_MECHANISM, _TLS and _CA say."""
    return Access(
        variables.get(f"{PREFIX}USER") or None,
        variables.get(f"{PREFIX}PASSWORD", ""),
        variables.get(f"{PREFIX}SASL_MECHANISM") or MECHANISM,
        variables.get(f"{PREFIX}TLS", "").lower() in _TRUE,
        variables.get(f"{PREFIX}CA") or None,
    )


def of_local(bootstrap_servers: str, data: Path, role: str) -> Access:
    """Of the local stack on ``data``, or of a demo below it, if it is one of theirs that is meant."""
    wanted = {server.strip() for server in bootstrap_servers.split(",")}
    for users in _kept(data):
        if wanted <= users.servers:
            return users.access(role)
    return Access()


def client_of(bootstrap_servers: str, role: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a client of the SDK needs beside the address. ``given`` has the last word; else the variables say it, else
    the local stack of this directory does (TOKENMETER_DATA), if the address is its own."""
    if given and "security.protocol" in given:
        return dict(given)
    data = Path(os.environ.get("TOKENMETER_DATA") or ".tokenmeter")
    found = of_variables(os.environ).client() or of_local(bootstrap_servers, data, role).client()
    return {**found, **(given or {})}


def _kept(data: Path) -> Iterator[Users]:
    for folder in (data, *sorted(data.glob("demo-*"), reverse=True)):
        if (users := Users.read(folder)) is not None:
            yield users
