"""What docker-compose.yml tells Kafka, told to a real one."""

import re
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from tests.deploy.compose import ComposeFile

pytestmark = pytest.mark.slow
#: What the image's scripts take, and Kafka does not see.
FOR_SCRIPTS = {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}


def properties() -> dict[str, str]:
    """Return the environment as properties, as the image derives them."""
    environment = ComposeFile.read().service("kafka").environment
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment.items()
        if name not in FOR_SCRIPTS
    }


class AsInTheFile(EmbeddedKafka):
    """An embedded Kafka with the file's properties, on this machine's ports."""

    host_port: int

    def _write_properties(self) -> None:
        self.host_port = free_port()
        ports = {"9092": self.port, "9093": self._controller_port, "9094": self.host_port}
        here = {
            name: re.sub(
                r"(kafka|127\.0\.0\.1)?:(909[234])",
                lambda found: f"127.0.0.1:{ports[found[2]]}",
                value,
            )
            for name, value in properties().items()
        }
        here["log.dirs"] = "log"
        text = "".join(f"{name}={value}\n" for name, value in here.items())
        (self.data_dir / "server.properties").write_text(text)


def test_kafka_starts_with_it_and_answers_at_both_addresses(tmp_path: Path) -> None:
    with AsInTheFile(tmp_path / "kafka") as broker:
        for port in (broker.port, broker.host_port):
            admin = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}")
            (node,) = admin.describe_cluster()["brokers"]
            assert node["port"] == port  # each listener leads back to itself
            admin.close()


def test_it_keeps_its_data_where_the_volume_is() -> None:
    kafka = ComposeFile.read().service("kafka")
    (volume,) = kafka.own["volumes"]
    assert volume.split(":")[1] == properties()["log.dirs"]
    assert properties()["auto.create.topics.enable"] == "false"


def test_the_cluster_id_is_sixteen_bytes_in_base64() -> None:
    import base64

    identity = ComposeFile.read().service("kafka").environment["CLUSTER_ID"]
    assert len(base64.urlsafe_b64decode(identity + "==")) == 16
