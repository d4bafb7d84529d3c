"""Settings that depend on each other, and one place for how to connect to Kafka."""

import re
from pathlib import Path

import pytest

from services.standalone.stack import environment
from shared.settings import SettingsError, load_settings

ROOT = Path(__file__).parents[2]
SASL = {"kafka_sasl_username": "u", "kafka_sasl_password": "whisper"}


@pytest.mark.parametrize(
    ("given", "variable", "reason"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "SASL_USERNAME", "SASL_SSL needs it"),
        (
            {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_username": "u"},
            "SASL_PASSWORD",
            "SASL_PLAINTEXT needs it",
        ),
        ({"kafka_sasl_password": "whisper"}, "SASL_PASSWORD", "PLAINTEXT does not use it"),
        ({"kafka_security_protocol": "SSL", **SASL}, "SASL_USERNAME", "SSL does not use it"),
        ({"kafka_ssl_ca_file": "ca.pem"}, "SSL_CA_FILE", "PLAINTEXT does not use it"),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_cert_file": "c"},
            "SSL_KEY_FILE",
            "need each other",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_key_file": "c"},
            "SSL_KEY_FILE",
            "need each other",
        ),
        ({"kafka_security_protocol": "TLS"}, "SECURITY_PROTOCOL", "'SASL_SSL'"),
        (
            {"kafka_security_protocol": "SASL_SSL", **SASL, "kafka_sasl_mechanism": "GSSAPI"},
            "SASL_MECHANISM",
            "'SCRAM-SHA-512'",
        ),
    ],
)
def test_what_does_not_go_together_is_named(
    given: dict[str, object], variable: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"TENURE_KAFKA_{variable}: ") and reason in line for line in lines)
    assert "whisper" not in str(caught.value)


def test_other_processes_get_the_password_itself() -> None:
    settings = load_settings(kafka_security_protocol="SASL_SSL", **SASL)
    assert environment(settings)["TENURE_KAFKA_SASL_PASSWORD"] == "whisper"
    assert "whisper" not in repr(settings)


def test_every_client_is_told_how_to_connect_in_one_place() -> None:
    """Who names brokers by hand forgets the password."""
    own = {"kafka_connection.py", "embedded_kafka.py"}
    files = [
        path
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in own
    ]
    assert len(files) > 100
    by_hand = re.compile(r"\bbootstrap_servers=(?!broker\.)")
    assert not [path for path in files if by_hand.search(path.read_text())]
