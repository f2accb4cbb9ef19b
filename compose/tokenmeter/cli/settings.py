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

from tokenmeter.events.access import MECHANISM, Access, Mechanism
from tokenmeter.events.errors import Misconfigured

# As in tokenmeter.flow, which a gateway alone has not: a test holds them against it.
PAGE_SECONDS, PAGE_MIN_SECONDS, PAGE_EVENTS = 5.0, 0.2, 500_000
HORIZON_MINUTES, QUARANTINE_RATIO_MAX = 15, 0.5


class Settings(BaseSettings):
    """A part given by URL is used instead of a local child. Secrets are never printed."""

    model_config = SettingsConfigDict(
        env_prefix="TOKENMETER_", toml_file="tokenmeter.toml", extra="forbid", use_attribute_docstrings=True
    )

    data: Path = Path(".tokenmeter")
    """Directory of the local stack: its data, logs and `stack.json`, which says where everything is."""
    kafka_bootstrap: str | None = None
    """Kafka's brokers, `host:port,host:port`. Not set: the local stack's own Kafka."""
    kafka_user: str | None = None
    """Who reads and writes there, by SASL. Not set: Kafka asks for nobody, or it is the local stack's own."""
    kafka_password: SecretStr | None = None
    """Of that user."""
    kafka_sasl_mechanism: Mechanism = MECHANISM
    """How that user proves who it is."""
    kafka_tls: bool = False
    """Whether Kafka is spoken to over TLS, trusting the system's certificates."""
    kafka_ca: Path | None = None
    """A PEM file with the certificates to trust instead; it switches TLS on."""
    kafka_auth: bool = True
    """Whether the local stack's own Kafka asks for passwords and gives each part its rights. They are kept in
    `kafka-users.json` of the data directory, which its owner alone reads, and where the SDK finds them."""
    registry_url: str | None = None
    """A schema registry that speaks Confluent's API. Not set: the schemas that are bundled."""
    clickhouse_url: str | None = None
    """ClickHouse over HTTP, `http://host:8123`. Not set: the local stack's own."""
    clickhouse_cluster: Annotated[str, Field(pattern=r"^\w[\w-]*$")] | None = None
    """The cluster of ClickHouse servers that `clickhouse_url` is a node of: tables become replicated and distributed,
    see `sql/tokenmeter/store/0003-beyond-one-node.md`. Not set: one server."""
    clickhouse_user: str = "tokenmeter"
    """Who migrates, inserts and is asked."""
    clickhouse_password: SecretStr | None = None
    """Of that user."""
    clickhouse_boards_user: str = "boards"
    """A read-only user, with whom Superset asks."""
    clickhouse_boards_password: SecretStr | None = None
    """Of that user."""
    superset_url: str | None = None
    """A Superset to publish boards to. Not set: the local stack's own."""
    superset_user: str = "admin"
    """Who publishes."""
    superset_password: SecretStr | None = None
    """Of that user."""
    boards: bool = True
    """Whether the local stack has a Superset."""
    gateway_keys: SecretStr | None = None
    """The gateway's own keys, separated by commas: they may send usage of any customer. Without keys, these or of
    `tokenmeter keys add`, it serves this machine alone."""
    gateway_admin_keys: SecretStr | None = None
    """The gateway's own keys that may do everything, also give credit over HTTP."""
    gateway_keys_stale: Literal["refuse", "allow"] = "refuse"
    """What a gateway does that has not heard of revoked keys for a while, because Kafka is away."""
    gateway_credit: bool = False
    """Whether the gateway answers `GET /v1/allowed/CUSTOMER`."""
    gateway_credit_fail: str = ""
    """What a reason does, e.g. `stale=refuse,unknown=allow`. Empty: as the SDK's page says."""
    webhook_secret: SecretStr | None = None
    """Signs what `tokenmeter alerts --webhook` sends."""
    token_currencies: str = ""
    """Tokens that count as money beside ISO 4217's currencies, e.g. `USD1`; separated by commas."""
    worker_host: str = "127.0.0.1"
    """Address on which workers serve `/health` and `/metrics`; `0.0.0.0` in a container, behind a network policy."""
    disk_free_min_mb: Annotated[int, Field(ge=0)] = 1_024
    """The local stack does not begin on a disk with less."""
    port_base: Annotated[int, Field(ge=1024, le=65_000)] | None = None
    """The local stack serves on this port and those after it. Not set: free ports, chosen once and kept."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    """Of topics that are created; never changed afterwards. Production: 64."""
    replication: Annotated[int, Field(ge=1, le=9)] | None = None
    """Copies of topics that are created. Not set: up to three, as many as there are brokers."""
    brokers: Annotated[int, Field(ge=1, le=9)] = 1
    """Of the local Kafka; with 3 any one may fail."""
    meters: Annotated[int, Field(ge=1, le=64)] = 1
    """Meters of the local stack, which share the partitions."""
    loaders: Annotated[int, Field(ge=1, le=64)] = 1
    """Loaders of the local stack."""
    ledgers: Annotated[int, Field(ge=1, le=64)] = 1
    """Ledgers of the local stack."""
    watches: Annotated[int, Field(ge=1, le=64)] = 1
    """Watches of the local stack."""
    watch_sensitivity: Literal["low", "normal", "high", "close"] = "normal"
    """How unlikely something must be before the watch tells of it."""
    page_seconds: Annotated[float, Field(gt=0, le=300)] = PAGE_SECONDS
    """A meter's page closes when it is this old."""
    page_min_seconds: Annotated[float, Field(gt=0, le=300)] = PAGE_MIN_SECONDS
    """It may close at this age when the partition is caught up."""
    page_events: Annotated[int, Field(ge=1, le=5_000_000)] = PAGE_EVENTS
    """It closes when it holds so many events."""
    dedup_horizon_minutes: Annotated[int, Field(ge=1, le=1440)] = HORIZON_MINUTES
    """A repeat within this time, by broker time, counts once at the meter."""
    quarantine_ratio_max: Annotated[float, Field(ge=0, le=1)] = QUARANTINE_RATIO_MAX
    """A meter stops when more of a page than this cannot be used: that is an outage."""

    def kafka_access(self) -> Access:
        """How to get into Kafka, as far as it is set."""
        password = self.kafka_password.get_secret_value() if self.kafka_password else ""
        ca = None if self.kafka_ca is None else str(self.kafka_ca)
        return Access(self.kafka_user, password, self.kafka_sasl_mechanism, self.kafka_tls, ca)

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
