"""Ingest as a process of its own, against a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx

from shared.adapters.embedded_kafka import EmbeddedKafka
from tests.http import http
from tests.ingest_events import ids
from tests.kafka_topics import create_topic, read_partition
from tests.waiting import until

PARTITIONS = 4


class IngestProcess:
    """``python -m services.ingest`` with settings of its own; its log lines go to a file."""

    def __init__(
        self, broker: EmbeddedKafka, prefix: str, directory: Path, **settings: object
    ) -> None:
        self.servers, self.topic = broker.bootstrap_servers, f"{prefix}customer-events"
        self.log_path = directory / "ingest.log"
        self._settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "TOPIC_PREFIX": prefix,
            "INGEST_PORT": 0,
            **{name.upper(): value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    async def create_topic(self) -> None:
        """Create the topic that it writes to."""
        config = {"message_timestamp_type": "LogAppendTime", "max_message_bytes": "4194304"}
        await create_topic(self.servers, self.topic, PARTITIONS, **config)

    async def start(self) -> None:
        """Start it, and return when it listens."""
        process = self.process = self._spawn()
        await until(lambda: self.logged("listening") or process.poll() is not None)
        assert process.poll() is None, self.log_path.read_text()

    def _spawn(self) -> subprocess.Popen[bytes]:
        environment = {f"TENURE_{name}": str(value) for name, value in self._settings.items()}
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "services.ingest"],
                env={**os.environ, **environment},
                stderr=log,
            )

    async def ready(self) -> None:
        """Return when it can accept events."""
        await until(self._is_ready)

    def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return http.get(f"{self.url}/readyz").status_code == httpx.codes.OK
        return False

    def logged(self, event: str) -> list[dict[str, object]]:
        """Return the log lines of an event."""
        lines = self.log_path.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.logged('listening')[0]['port']}"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        """Return its exit code, once it has ended."""
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None)
        return process.returncode

    def end(self) -> None:
        """End it, however it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def published(self) -> list[list[str]]:
        """Return the ids of the events in each partition of the topic, in order."""
        return [
            [each for record in records for each in ids(record)]
            for records in [
                await read_partition(self.servers, self.topic, p) for p in range(PARTITIONS)
            ]
        ]
