"""What the local stack's children are told: a worker's and the gateway's environment, by the settings' names."""

from __future__ import annotations

from pathlib import Path

from tokenmeter.cli.settings import Settings
from tokenmeter.events.access import PREFIX, Access


def of_kafka(bootstrap: str, access: Access) -> dict[str, str]:
    """Variables of whoever is a client of Kafka."""
    told = {
        "BOOTSTRAP": bootstrap,
        "USER": access.user,
        "PASSWORD": access.password,
        "SASL_MECHANISM": access.mechanism,
        "TLS": str(access.tls),
        "CA": access.ca,
    }
    return {f"{PREFIX}{name}": value for name, value in told.items() if value}


def of_worker(
    settings: Settings, kafka: dict[str, str], clickhouse_url: str, password: str, data: Path
) -> dict[str, str]:
    """Variables of a meter, loader, ledger or watch. ``kafka``: see of_kafka."""
    return {
        **kafka,
        "TOKENMETER_CLICKHOUSE_URL": clickhouse_url,
        "TOKENMETER_CLICKHOUSE_USER": settings.clickhouse_user,
        "TOKENMETER_CLICKHOUSE_PASSWORD": password,
        "TOKENMETER_PAGE_SECONDS": str(settings.page_seconds),
        "TOKENMETER_PAGE_MIN_SECONDS": str(settings.page_min_seconds),
        "TOKENMETER_PAGE_EVENTS": str(settings.page_events),
        "TOKENMETER_DEDUP_HORIZON_MINUTES": str(settings.dedup_horizon_minutes),
        "TOKENMETER_QUARANTINE_RATIO_MAX": str(settings.quarantine_ratio_max),
        "TOKENMETER_WATCH_SENSITIVITY": settings.watch_sensitivity,
        "TOKENMETER_DATA": str(data),
    }


def of_gateway(settings: Settings, kafka: dict[str, str], clickhouse_url: str, password: str) -> dict[str, str]:
    """Variables of the HTTP gateway."""
    env = dict(kafka)
    env["TOKENMETER_CLICKHOUSE_URL"] = clickhouse_url
    env["TOKENMETER_CLICKHOUSE_USER"] = settings.clickhouse_user
    env["TOKENMETER_CLICKHOUSE_PASSWORD"] = password
    env["TOKENMETER_GATEWAY_CREDIT"] = str(settings.gateway_credit)
    env["TOKENMETER_GATEWAY_CREDIT_FAIL"] = settings.gateway_credit_fail
    if settings.gateway_admin_keys is not None:
        env["TOKENMETER_GATEWAY_ADMIN_KEYS"] = settings.gateway_admin_keys.get_secret_value()
    return env
