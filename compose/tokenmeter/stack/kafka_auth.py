"""What the local Kafka asks for: a password from every client, and rights by role.

The nodes know each other, and the stack that starts them, as the user NODE, by a password in their own configuration:
it needs nothing that is kept in the log, so it works for a log that was made without passwords too. All others are
SCRAM users, which the stack makes at each start from the file of their passwords.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenmeter.events.access import ADMIN, USERS_FILE, Access, Users
from tokenmeter.stack.roles import ROLES, provision
from tokenmeter.stack.state import write_private

NODE = "node"
PASSWORD_BYTES = 18
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PROPERTIES = """inter.broker.listener.name=CLIENTS
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.clients.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.clients.scram-sha-512.sasl.jaas.config={scram}
listener.name.clients.scram-sha-256.sasl.jaas.config={scram}
listener.name.clients.plain.sasl.jaas.config={plain}
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{node};User:{admin}
allow.everyone.if.no.acl.found=false
"""
_TLS = """listener.name.clients.ssl.keystore.type=PEM
listener.name.clients.ssl.keystore.location={pem}
listener.name.clients.ssl.truststore.type=PEM
listener.name.clients.ssl.truststore.location={ca}
"""


@dataclass(frozen=True)
class Security:
    """Of one Kafka. ``pem``: its key and certificate, with which it serves TLS; ``ca``: who signed that."""

    node_password: str = field(repr=False)
    pem: Path | None = None
    ca: Path | None = None

    @property
    def protocol(self) -> str:
        """Of the listener for clients."""
        return "SASL_SSL" if self.pem else "SASL_PLAINTEXT"

    def properties(self) -> str:
        """Lines of server.properties."""
        plain = f'{_PLAIN} username="{NODE}" password="{self.node_password}" user_{NODE}="{self.node_password}";'
        text = _PROPERTIES.format(scram=_SCRAM, plain=plain, node=NODE, admin=ADMIN)
        return text + (_TLS.format(pem=self.pem, ca=self.ca or self.pem) if self.pem else "")

    def client(self) -> dict[str, Any]:
        """Settings of the stack's own client, which may do everything."""
        ca = str(self.ca or self.pem) if self.pem else None
        return Access(NODE, self.node_password, "PLAIN", ca=ca).client()


def passwords(data: Path) -> dict[str, str]:
    """Those of the local Kafka's users, by name, NODE among them: kept in ``data``, or made now."""
    known: Mapping[str, str] = (Users.read(data) or Users(frozenset(), {})).passwords
    return {name: known.get(name) or secrets.token_urlsafe(PASSWORD_BYTES) for name in (NODE, ADMIN, *ROLES)}


def open_to(client: Mapping[str, Any], data: Path, words: Mapping[str, str]) -> Users | None:
    """Let the users in, and keep their passwords for this Unix user's clients. Without ``words`` it asks for none."""
    if not words:
        (data / USERS_FILE).unlink(missing_ok=True)
        return None
    users = keep(data, client["bootstrap.servers"], words)
    provision(client, {user: word for user, word in words.items() if user != NODE})
    return users


def keep(data: Path, bootstrap: str, of: Mapping[str, str]) -> Users:
    """Write the file that clients on this machine, of this Unix user, get in by."""
    write_private(data / USERS_FILE, {"bootstrap": bootstrap, "users": dict(of)})
    return Users(frozenset(bootstrap.split(",")), dict(of))
