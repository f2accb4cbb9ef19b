"""The verb ``gateway``: events over HTTP, credit asked and given, usage told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import SecretStr

from tokenmeter.cli.places import clickhouse, kafka
from tokenmeter.cli.settings import Settings, load
from tokenmeter.emit.credit import fail_modes
from tokenmeter.emit.credit.orders import Desk
from tokenmeter.emit.gateway import GatewayConfig, run
from tokenmeter.events.errors import Misconfigured

if TYPE_CHECKING:
    from tokenmeter.stack.gateway_store import GatewayStore


def gateway(
    host: Annotated[str, typer.Option(help="address to serve; without keys only this machine's own")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port of POST /v1/events, GET /docs and GET /health")] = 8090,
    credit: Annotated[
        bool | None, typer.Option("--credit/--no-credit", help="answer GET /v1/allowed/CUSTOMER: 200, or 402 and why")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Take events over HTTP; answer once Kafka has them. GET /docs tells the routes.

    Keys are made with `tokenmeter keys add`. Beside them there are the gateway's own: TOKENMETER_GATEWAY_KEYS,
    comma-separated, may send usage of any customer; TOKENMETER_GATEWAY_ADMIN_KEYS may do everything, also give credit
    at POST /v1/credit.

    With --credit it also says before a call whether it may be made; TOKENMETER_GATEWAY_CREDIT_FAIL=stale=refuse changes
    what a reason does. Events are taken whatever the credit: they tell of calls that were made.
    """
    settings = load(data=data, gateway_credit=credit)
    keys = keys_of(settings.gateway_keys, "TOKENMETER_GATEWAY_KEYS")
    admin_keys = keys_of(settings.gateway_admin_keys, "TOKENMETER_GATEWAY_ADMIN_KEYS")
    fail = fail_modes(settings.gateway_credit_fail) if settings.gateway_credit else None
    client = kafka(settings, "gateway")
    store = _store(settings, client)
    run(
        GatewayConfig(
            client["bootstrap.servers"],
            host,
            port,
            keys,
            client=client,
            credit=fail,
            admin_keys=admin_keys,
            desk=_desk(client),
            usage_of=store.usage_of if store is not None else None,
            existing=store.existing if store is not None else None,
            stale=settings.gateway_keys_stale,
        )
    )


def _desk(client: Mapping[str, Any]) -> Desk | None:
    """None: the packages that read topics in columns are not installed, which [gateway] alone does not bring."""
    try:
        from tokenmeter.stack.credit.desk import desk_of
    except ModuleNotFoundError as missing:
        _require_foreign(missing)
        return None
    return desk_of(client)


def _store(settings: Settings, client: Mapping[str, Any]) -> GatewayStore | None:
    """None: no ClickHouse is set, or its client is not installed."""
    try:
        from tokenmeter.ops.pages_read import pages_read
        from tokenmeter.stack.gateway_store import GatewayStore

        return GatewayStore(*clickhouse(settings), partial(pages_read, client))
    except ModuleNotFoundError as missing:
        _require_foreign(missing)
    except Misconfigured:
        pass  # what needs it says which setting is missing
    return None


def _require_foreign(missing: ModuleNotFoundError) -> None:
    if (missing.name or "").startswith("tokenmeter"):
        raise missing


def keys_of(secret: SecretStr | None, setting: str) -> tuple[str, ...]:
    """Comma-separated keys. Misconfigured where one is empty: a gateway must not be open because of a slip."""
    if secret is None:
        return ()
    keys = tuple(key.strip() for key in secret.get_secret_value().split(","))
    if not all(keys):
        raise Misconfigured(f"{setting} has an empty key", hint=f"{setting}=KEY,KEY; unset it for none")
    return keys
