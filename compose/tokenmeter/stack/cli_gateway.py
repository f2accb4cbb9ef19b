"""The verb ``gateway``: events over HTTP, credit asked and given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from tokenmeter.emit.credit import fail_modes
from tokenmeter.emit.gateway import GatewayConfig, run
from tokenmeter.stack.credit.desk import desk_of
from tokenmeter.stack.places import bootstrap
from tokenmeter.stack.settings import load


def gateway(
    host: Annotated[str, typer.Option(help="address to serve; without keys only this machine's own")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port of POST /v1/events and GET /health")] = 8090,
    credit: Annotated[
        bool | None, typer.Option("--credit/--no-credit", help="answer GET /v1/allowed/CUSTOMER: 200, or 402 and why")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="directory of the local stack")] = None,
) -> None:
    """Take events over HTTP; answer once Kafka has them. Keys: TOKENMETER_GATEWAY_KEYS, comma-separated.

    With --credit also say before a call whether it may be made; TOKENMETER_GATEWAY_CREDIT_FAIL=stale=refuse changes
    what a reason does. Events are taken whatever the credit: they tell of calls that were made.

    With TOKENMETER_GATEWAY_ADMIN_KEYS it takes grants, payments and the like at POST /v1/credit, from those keys alone.
    """
    settings = load(data=data, gateway_credit=credit)
    keys, admin_keys = keys_of(settings.gateway_keys), keys_of(settings.gateway_admin_keys)
    fail = fail_modes(settings.gateway_credit_fail) if settings.gateway_credit else None
    kafka = bootstrap(settings)
    desk = desk_of({"bootstrap.servers": kafka}) if admin_keys else None
    run(GatewayConfig(kafka, host, port, keys, credit=fail, admin_keys=admin_keys, desk=desk))


def keys_of(secret: SecretStr | None) -> tuple[str, ...]:
    """Comma-separated keys."""
    text = secret.get_secret_value() if secret else ""
    return tuple(filter(None, (key.strip() for key in text.split(","))))
