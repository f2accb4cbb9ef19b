"""Serves the gateway until a signal."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from tokenmeter.emit.credit import CreditCache, orders
from tokenmeter.emit.gateway import events, hosts, protocol
from tokenmeter.emit.gateway.app import Parts, make_app
from tokenmeter.emit.gateway.corrections import Existing
from tokenmeter.emit.gateway.keys import Caller, own_keys
from tokenmeter.emit.gateway.outbox import KafkaOutbox
from tokenmeter.emit.gateway.ring import READY_S, CatalogKeys, KeyRing, Stale
from tokenmeter.emit.gateway.usage import UsageOf
from tokenmeter.events.catalog import Right
from tokenmeter.events.errors import Misconfigured

CALLER_RIGHTS = frozenset({Right.USAGE, Right.READ})
ADMIN_RIGHTS = frozenset(Right)


@dataclass(frozen=True)
class GatewayConfig:
    """``keys`` may send usage of any customer and ask for credit, ``admin_keys`` do everything; both are the gateway's
    own. With neither, and none in the catalog, only this machine is served. ``credit``: serve ``GET /v1/allowed``, with
    these fail modes; None: do not. ``desk`` carries out orders of credit, ``usage_of`` finds usage,
    ``existing`` the calls that corrections name.
    """

    bootstrap_servers: str
    host: str = "127.0.0.1"
    port: int = 8090
    keys: tuple[str, ...] = ()
    client: Mapping[str, Any] = field(default_factory=dict)
    credit: Mapping[str, str] | None = None
    admin_keys: tuple[str, ...] = ()
    desk: orders.Desk | None = None
    usage_of: UsageOf | None = None
    existing: Existing | None = None
    stale: Stale = "refuse"
    ready_s: float = READY_S
    head_s: float = protocol.HEAD_S
    idle_s: int = protocol.IDLE_S
    acknowledged_within_s: float = events.ACKNOWLEDGED_WITHIN_S


def own_callers(keys: tuple[str, ...], admin_keys: tuple[str, ...]) -> dict[str, Caller]:
    """The gateway's own keys by digest. Misconfigured for a key that is none, or is both."""
    if not all(key.strip() for key in (*keys, *admin_keys)):
        raise Misconfigured("a key of the gateway is empty", hint="TOKENMETER_GATEWAY_KEYS=KEY,KEY without empty ones")
    if set(keys) & set(admin_keys):
        raise Misconfigured("a key of callers is an admin key, too", hint="set TOKENMETER_GATEWAY_ADMIN_KEYS")
    return own_keys(keys, "gateway", CALLER_RIGHTS) | own_keys(admin_keys, "gateway-admin", ADMIN_RIGHTS)


def run(config: GatewayConfig) -> None:
    """Serve until a signal. Raises Misconfigured for a busy port, an empty key, or an open address without keys."""
    own = own_callers(config.keys, config.admin_keys)
    listener = _listen(config.host, config.port)
    catalog = CatalogKeys(config.bootstrap_servers, config.client)
    if not own and not hosts.is_loopback(config.host):
        catalog.wait_ready(config.ready_s)
        if not len(catalog.book):
            catalog.close(wait=False)
            listener.close()
            raise Misconfigured(
                f"the gateway would serve {config.host} to everybody",
                hint="tokenmeter keys add, or set TOKENMETER_GATEWAY_KEYS, or --host 127.0.0.1",
            )
    outbox = KafkaOutbox(config.bootstrap_servers, config.client)
    credit = None
    if config.credit is not None:
        credit = CreditCache(config.bootstrap_servers, fail=config.credit, client=config.client)
    parts = Parts(
        outbox,
        KeyRing(own, catalog, config.stale),
        credit,
        config.desk,
        config.usage_of,
        config.existing,
        config.host,
        within_s=config.acknowledged_within_s,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(parts),
            log_level="warning",
            access_log=False,
            http=protocol.timed(config.head_s),
            loop="uvloop",
            timeout_keep_alive=config.idle_s,
        )
    )
    server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise Misconfigured(f"cannot serve on {host}:{port}: {error.strerror}", hint="choose another --port") from error
