"""A real broker that asks who is there: SASL, TLS, and both, each on a listener of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives import serialization
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from shared.adapters.embedded_kafka import EmbeddedKafka, free_port

USERNAME, PASSWORD = "tenure", "let-me-in"
SCRAM, PLAIN = "SCRAM-SHA-512", "PLAIN"

PROPERTIES = """\
listener.security.protocol.map=\
PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={files}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={files}/ca.pem
listener.name.ssl.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
# Who comes by the plain listener is the test itself.
super.users=User:ANONYMOUS
"""
JAAS = """\
listener.name.{listener}.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.{listener}.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@dataclass(frozen=True)
class SecureKafka:
    """Where each listener is, and the files of who may come in."""

    broker: EmbeddedKafka
    ports: dict[str, int]
    files: Path

    def settings(self, protocol: str, mechanism: str = SCRAM) -> dict[str, Any]:
        """Return the settings of a client that comes in by this protocol."""
        sasl = {
            "kafka_sasl_mechanism": mechanism,
            "kafka_sasl_username": USERNAME,
            "kafka_sasl_password": PASSWORD,
        }
        tls = {"kafka_ssl_ca_file": self.files / "ca.pem"}
        client = {
            "kafka_ssl_cert_file": self.files / "client.crt",
            "kafka_ssl_key_file": self.files / "client.key",
        }
        return {
            "kafka_bootstrap_servers": f"127.0.0.1:{self.ports[protocol]}",
            "kafka_security_protocol": protocol,
            **(sasl if protocol.startswith("SASL") else {}),
            **(tls if protocol.endswith("SSL") else {}),
            **(client if protocol == "SSL" else {}),
        }


@contextmanager
def secure_kafka(files: Path) -> Iterator[SecureKafka]:
    """Run such a broker."""
    _make_certificates(files)
    ports = {name: free_port() for name in ("SASL_PLAINTEXT", "SSL", "SASL_SSL")}
    jaas = (
        JAAS.format(listener=name, user=USERNAME, password=PASSWORD)
        for name in ("sasl_plaintext", "sasl_ssl")
    )
    properties = PROPERTIES.format(files=files) + "".join(jaas)
    with EmbeddedKafka(listeners=ports, properties=properties) as broker:
        _introduce(broker)
        yield SecureKafka(broker, ports, files)


def _make_certificates(files: Path) -> None:
    """Make an authority, and have it certify the broker and a client."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files / "ca.pem")
    broker = authority.issue_cert("127.0.0.1")
    chain = b"".join(each.bytes() for each in broker.cert_chain_pems)
    (files / "broker.pem").write_bytes(_for_java(broker.private_key_pem.bytes()) + chain)
    client = authority.issue_cert(f"{USERNAME}@example.org")
    client.cert_chain_pems[0].write_to_path(files / "client.crt")
    client.private_key_pem.write_to_path(files / "client.key")


def _for_java(key: bytes) -> bytes:
    """Return a private key in the one form that Java reads."""
    return serialization.load_pem_private_key(key, password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _introduce(broker: EmbeddedKafka) -> None:
    """Give the user a password for SCRAM, which Kafka keeps itself."""
    user = UserScramCredentialUpsertion(USERNAME, ScramMechanism.SCRAM_SHA_512, PASSWORD)
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as admin:
        assert admin.alter_user_scram_credentials([user]) == {USERNAME: None}
