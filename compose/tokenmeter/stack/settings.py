"""Settings of every verb: from TOKENMETER_* variables, or tokenmeter.toml beside where the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tokenmeter.events.errors import Misconfigured

# As in tokenmeter.flow, which a gateway alone has not: a test holds them against it.
PAGE_SECONDS, PAGE_MIN_SECONDS, PAGE_EVENTS = 5.0, 0.2, 500_000
HORIZON_MINUTES, QUARANTINE_RATIO_MAX = 15, 0.5


class Settings(BaseSettings):
    """A part given by URL is used instead of a local child. Secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix="TOKENMETER_", toml_file="tokenmeter.toml", extra="forbid")

    data: Path = Path(".tokenmeter")
    kafka_bootstrap: str | None = None
    registry_url: str | None = None
    clickhouse_url: str | None = None
    clickhouse_user: str = "tokenmeter"
    clickhouse_password: SecretStr | None = None
    clickhouse_boards_user: str = "boards"
    clickhouse_boards_password: SecretStr | None = None
    superset_url: str | None = None
    superset_user: str = "admin"
    superset_password: SecretStr | None = None
    boards: bool = True
    gateway_keys: SecretStr | None = None
    gateway_admin_keys: SecretStr | None = None
    gateway_keys_stale: Literal["refuse", "allow"] = "refuse"
    gateway_credit: bool = False
    gateway_credit_fail: str = ""
    webhook_secret: SecretStr | None = None
    token_currencies: str = ""
    disk_free_min_mb: Annotated[int, Field(ge=0)] = 1_024
    port_base: Annotated[int, Field(ge=1024, le=65_000)] | None = None
    partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    replication: Annotated[int, Field(ge=1, le=9)] | None = None
    brokers: Annotated[int, Field(ge=1, le=9)] = 1
    meters: Annotated[int, Field(ge=1, le=64)] = 1
    loaders: Annotated[int, Field(ge=1, le=64)] = 1
    ledgers: Annotated[int, Field(ge=1, le=64)] = 1
    watches: Annotated[int, Field(ge=1, le=64)] = 1
    watch_sensitivity: Literal["low", "normal", "high", "close"] = "normal"
    page_seconds: Annotated[float, Field(gt=0, le=300)] = PAGE_SECONDS
    page_min_seconds: Annotated[float, Field(gt=0, le=300)] = PAGE_MIN_SECONDS
    page_events: Annotated[int, Field(ge=1, le=5_000_000)] = PAGE_EVENTS
    dedup_horizon_minutes: Annotated[int, Field(ge=1, le=1440)] = HORIZON_MINUTES
    quarantine_ratio_max: Annotated[float, Field(ge=0, le=1)] = QUARANTINE_RATIO_MAX

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(**given: Any) -> Settings:
    """The settings in force. Raises Misconfigured naming the setting and what is wrong with it."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "TOKENMETER_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Misconfigured(
            f"setting {name} is wrong: {first['msg']}", hint="correct it and run the command again"
        ) from error
    except (OSError, ValueError) as error:  # of the TOML file
        raise Misconfigured(
            f"tokenmeter.toml cannot be read: {error}", hint="mend the file, or run the command elsewhere"
        ) from error
