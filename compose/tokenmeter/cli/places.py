"""Where the parts are: as the settings say, or in the stack that runs on the settings' data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tokenmeter.cli.settings import Settings
from tokenmeter.events.access import ADMIN, of_local
from tokenmeter.events.errors import Misconfigured
from tokenmeter.kafka.access import require_access
from tokenmeter.stack.state import Stack, found


def home(settings: Settings) -> Path:
    """The directory of the stack that is meant: as set, else .tokenmeter, or the demo that runs below it."""
    return settings.data if "data" in settings.model_fields_set else found(settings.data)


def bootstrap(settings: Settings) -> str:
    """Kafka's address as set, or of the stack that runs here; Misconfigured when there is neither."""
    if settings.kafka_bootstrap is not None:
        return settings.kafka_bootstrap
    kafka = Stack.load(home(settings)).parts.get("kafka")
    if kafka is None or kafka.url is None or kafka.state == "stopped":
        raise Misconfigured(
            f"no Kafka: TOKENMETER_KAFKA_BOOTSTRAP is not set and no stack runs on {settings.data}",
            hint="tokenmeter up",
        )
    return kafka.url


def kafka(settings: Settings, role: str = ADMIN) -> dict[str, Any]:
    """Settings of every client of Kafka, as set, or of the stack that runs here. ``role``: as whom, where the local
    stack is meant and no user is set. Misconfigured when Kafka does not let it in."""
    servers = bootstrap(settings)
    access = settings.kafka_access().client() or of_local(servers, home(settings), role).client()
    client = {"bootstrap.servers": servers, **access, "log_level": 2}
    require_access(client)
    return client


def clickhouse(settings: Settings) -> tuple[str, str, str]:
    """(URL, user, password) as set, or of the stack that runs here."""
    url, user, secret = settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password
    return part(settings, "ClickHouse", url, user, secret)


def part(settings: Settings, name: str, url: str | None, user: str, secret: SecretStr | None) -> tuple[str, str, str]:
    """(URL, user, password) of a part as set, or of the stack that runs here."""
    if url is not None:
        return url, user, secret.get_secret_value() if secret else ""
    known = Stack.load(home(settings)).parts.get(name.lower())
    if known is None or known.url is None or known.state == "stopped":
        raise Misconfigured(
            f"no {name}: TOKENMETER_{name.upper()}_URL is not set and no stack runs on {settings.data}",
            hint="tokenmeter up",
        )
    return known.url, known.user or "", known.password or ""
