"""Every setting, read from the environment as ``TENURE_...``, validated as a whole.

Nothing is read at import time: a bootstrap calls `load_settings` once and hands the parts on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.domain.errors import TenureError
from shared.domain.policy import DAY_MS, MINUTE_MS, Policy

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SASL = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})
TLS = frozenset({"SSL", "SASL_SSL"})

HTTP_URL = r"^https?://[^/?#\s]+$"

Port = Annotated[int, Field(ge=0, le=65535)]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Credential = TypeVar("Credential", str | None, SecretStr | None)


class SettingsError(TenureError):
    """One or more settings are wrong; the message lists all of them."""


class Settings(BaseSettings):
    """The one documented list of settings; ``tenure settings`` prints it."""

    model_config = SettingsConfigDict(env_prefix="TENURE_", extra="forbid", frozen=True)

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092", description="Kafka brokers, host:port, comma separated"
    )
    kafka_security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="How to talk to Kafka: with TLS (SSL), with a password (SASL)"
    )
    kafka_sasl_mechanism: SaslMechanism = Field(
        "SCRAM-SHA-512", description="How the password is shown to Kafka, with SASL"
    )
    kafka_sasl_username: str | None = Field(
        None, validate_default=True, description="User of Kafka, with SASL"
    )
    kafka_sasl_password: SecretStr | None = Field(
        None, validate_default=True, description="Password of that user"
    )
    kafka_ssl_ca_file: Path | None = Field(
        None,
        description="PEM file of who certifies Kafka's brokers, with SSL; "
        "the system's authorities when absent",
    )
    kafka_ssl_cert_file: Path | None = Field(
        None, description="PEM file of our certificate, where Kafka asks for one"
    )
    kafka_ssl_key_file: Path | None = Field(
        None, validate_default=True, description="PEM file of that certificate's private key"
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        None, description="Password of that key, if it has one"
    )
    topic_prefix: str = Field(
        "",
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="Put before the name of each topic and consumer group",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=1000,
        description="Partitions of customer-events, when `tenure topics` creates it",
    )
    replication_factor: int = Field(
        1, ge=1, le=10, description="Replication factor of topics that are created; 3 in production"
    )
    database_url: str = Field(
        "sqlite:///tenure.db", description="SQLAlchemy URL of the campaigner's database"
    )
    data_dir: Path = Field(Path(".tenure"), description="Local files of `tenure up`")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged"
    )
    traces_endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where OpenTelemetry traces go, OTLP over HTTP "
        "(http://collector:4318/v1/traces); none when absent",
    )
    traces_ratio: float = Field(
        0.01, ge=0, le=1, description="Share of requests that are traced, unless the caller decides"
    )

    ingest_host: str = Field("127.0.0.1", description="Address that ingest listens on")
    ingest_port: Port = Field(8001, description="Port of ingest's API, probes and metrics")
    ingest_keys_file: Path | None = Field(
        None, description="YAML file of hashed API keys; required unless ingest listens on loopback"
    )
    ingest_linger_ms: float = Field(
        5.0,
        ge=0,
        le=1000,
        description="How long concurrent requests are gathered before they are published",
    )
    ingest_max_body_bytes: int = Field(
        2_000_000, ge=1_000, le=100_000_000, description="Largest accepted request body"
    )
    ingest_max_pending: int = Field(
        100_000, ge=1, description="Events waiting for Kafka before new requests get 503"
    )
    ingest_max_pending_bytes: int = Field(
        200_000_000, ge=1_000, description="Bytes of events waiting for Kafka, likewise"
    )
    ingest_delivery_timeout_s: float = Field(
        15.0,
        ge=0.1,
        le=300,
        description="How long a request waits for Kafka's acknowledgement before it gets 503",
    )

    scorer_host: str = Field("127.0.0.1", description="Address of the scorer's probes and metrics")
    scorer_port: Port = Field(8002, description="Port of the scorer's probes and metrics")
    scorer_instance: str | None = Field(
        None,
        min_length=1,
        description="Static member id of this scorer in its consumer group; "
        "unique, stable over restarts",
    )
    session_timeout_s: float = Field(
        10.0,
        ge=1,
        le=300,
        description="Silence after which Kafka gives a scorer's partitions to another",
    )
    tick_after_s: float = Field(
        10.0, gt=0, description="Silence of a partition after which its scorer moves its time"
    )
    model_key: SecretStr = Field(
        SecretStr("tenure-development"),
        min_length=8,
        description="HMAC key that signs model snapshots; set your own in production",
    )

    erasure_key: SecretStr = Field(
        SecretStr("tenure-development"),
        min_length=8,
        description="HMAC key that names erased customers; set your own in production, and keep "
        "it: under another one they are unknown, and could come back",
    )

    horizon_days: int = Field(
        28, ge=1, le=730, description="Churn horizon: silence this long is churn"
    )
    cadence_days: int = Field(
        14, ge=1, le=365, description="Days between a customer's label snapshots"
    )
    currency: str = Field(
        "USD", pattern="^[A-Z]{3}$", description="Reporting currency; events in another are refused"
    )
    default_margin: float = Field(
        1.0, ge=-1, le=1, description="Margin ratio of a purchase that names none"
    )
    value_days: int = Field(
        365, ge=1, le=3650, description="Days over which a customer's lifetime value is counted"
    )
    discount_rate: float = Field(
        0.1, ge=0, le=10, description="What a year takes off future margin: 0.1 is 10%"
    )
    future_tolerance_s: float = Field(
        300.0, ge=0, description="How far ahead of its arrival an event's time may be"
    )

    campaigner_host: str = Field("127.0.0.1", description="Address of the operator API")
    campaigner_port: Port = Field(8003, description="Port of the operator API, probes and metrics")
    campaigner_keys_file: Path | None = Field(
        None,
        description="YAML file of hashed API keys; "
        "required unless the campaigner listens on loopback",
    )
    campaigns_file: Path | None = Field(
        None, description="YAML file of campaigns; built-in example when absent"
    )
    webhooks_file: Path | None = Field(
        None, description="YAML file of webhooks that get triggers; none when absent"
    )
    console_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Signs the console's sessions; made anew at each start when absent. "
        "Campaigners behind one address need the same",
    )
    console_https: bool = Field(
        default=False,
        description="Browsers reach the console by HTTPS alone, and show its cookie nowhere else",
    )
    console_ingest_url: str | None = Field(
        None,
        pattern=HTTP_URL,
        description="Ingest's address as the console reaches it; "
        "by ingest's own settings when absent",
    )
    console_ingest_key: SecretStr | None = Field(
        None, description="Ingest's API key with which the console sends repaired dead letters"
    )
    console_scorer_url: str | None = Field(
        None,
        pattern=HTTP_URL,
        description="The scorer's address as the console reaches it; "
        "by the scorer's own settings when absent",
    )
    control_salt: str = Field(
        "tenure",
        min_length=1,
        description="Salt of the control groups; changing it draws them anew",
    )

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for server in value.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"{server!r} is not host:port")
        return value

    # A password that is set and not used would be thought to protect something.
    @field_validator("kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _belongs_to_sasl(cls, value: Credential, info: ValidationInfo) -> Credential:
        protocol = info.data.get("kafka_security_protocol")
        if protocol in SASL and not value:
            raise ValueError(f"TENURE_KAFKA_SECURITY_PROTOCOL={protocol} needs it")
        if protocol in {"PLAINTEXT", "SSL"} and value is not None:
            raise ValueError(f"TENURE_KAFKA_SECURITY_PROTOCOL={protocol} does not use it")
        return value

    @field_validator("kafka_ssl_ca_file", "kafka_ssl_cert_file", "kafka_ssl_key_file")
    @classmethod
    def _belongs_to_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        protocol = info.data.get("kafka_security_protocol", "SSL")
        if value is not None and protocol not in TLS:
            raise ValueError(f"TENURE_KAFKA_SECURITY_PROTOCOL={protocol} does not use it")
        return value

    @field_validator("kafka_ssl_key_file")
    @classmethod
    def _belongs_to_a_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "kafka_ssl_cert_file" in info.data:
            certificate = info.data["kafka_ssl_cert_file"]
            if (certificate is None) != (value is None):
                raise ValueError("it and TENURE_KAFKA_SSL_CERT_FILE need each other")
        return value

    @property
    def kafka_uses_sasl(self) -> bool:
        """Whether Kafka asks for a password."""
        return self.kafka_security_protocol in SASL

    @property
    def kafka_uses_tls(self) -> bool:
        """Whether the connections to Kafka are encrypted."""
        return self.kafka_security_protocol in TLS

    def policy(self) -> Policy:
        """Return what the domain needs to know."""
        return Policy(
            horizon_ms=self.horizon_days * DAY_MS,
            cadence_days=self.cadence_days,
            default_margin=self.default_margin,
            value_days=self.value_days,
            discount_rate=self.discount_rate,
            erasure_key=self.erasure_key.get_secret_value().encode(),
            # What ingest let pass stays good though the broker's clock be behind.
            future_tolerance_ms=round(self.future_tolerance_s * 1000) + MINUTE_MS,
        )

    def topic(self, name: str) -> str:
        """Return the deployment's name of a topic or consumer group."""
        return f"{self.topic_prefix}{name}"


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    SettingsError
        With every wrong setting, its reason and its remedy.

    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic validates them
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None


def _lines(error: ValidationError) -> list[str]:
    return [
        f"TENURE_{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
        f" (got {_shown(problem)}). `tenure settings` lists what each setting takes."
        for problem in error.errors()
    ]


def _shown(problem: ErrorDetails) -> str:
    """Return the wrong value, unless it is a secret: error messages end up in logs."""
    field = Settings.model_fields.get(str(problem["loc"][0]))
    kinds = () if field is None else (field.annotation, *get_args(field.annotation))
    secret = SecretStr in kinds
    return "a secret" if secret else repr(problem["input"])
