"""Sends a history: most through the API, some straight to Kafka as other producers do."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import httpx
from kafka import KafkaProducer

from shared import topics
from shared.settings import Settings
from tests.faults.traffic import Accepted, Event, encoded
from tests.faults.watch import Watch

_BATCH = {"content-type": "application/cloudevents-batch+json"}
_PATIENCE_S = 300.0
#: Of so many batches one is sent twice, and one goes straight to Kafka.
_REPEATED, _STRAIGHT = 9, 20


class Sender:
    """Sends batches in a thread of its own, never far ahead of what the scorers made durable.

    Attributes
    ----------
    accepted
        What was acknowledged.
    garbage
        Records straight to Kafka that are no events.

    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        watch: Watch,
        owner: Callable[[str], int],
        batches: list[list[Event]],
    ) -> None:
        self.accepted = Accepted()
        self.garbage = 0
        self._batches = batches
        self._ahead = max(400, len(batches))
        self._watch = watch
        self._owner = owner
        self._topic = settings.topic(topics.CUSTOMER_EVENTS.name)
        self._partitions = settings.partitions
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def finish(self, within_s: float) -> None:
        """Return when all was accepted."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), "not all could be sent"
        if self._error is not None:
            raise self._error

    def check(self) -> None:
        """Fail if the sender has."""
        if self._error is not None:
            raise self._error

    def tick(self, at: str) -> None:
        """Move the time of all partitions, as a replay does at its end."""
        self._post("/v1/ticks", encoded({"time": at}), {"content-type": "application/json"})

    def close(self) -> None:
        self._http.close()
        self._producer.close()

    def _run(self) -> None:
        try:
            for number, batch in enumerate(self._batches):
                self._wait_for_the_scorers()
                self._send(number, batch)
        except BaseException as error:  # noqa: BLE001  # raised again where the test waits
            self._error = error

    def _wait_for_the_scorers(self) -> None:
        self._watch.until(
            lambda: self._watch.accepted() >= self.accepted.sent - self._ahead, _PATIENCE_S
        )

    def _send(self, number: int, batch: list[Event]) -> None:
        if number % _STRAIGHT == 0:
            self._send_straight(number, batch)
            return
        for _ in range(2 if number % _REPEATED == 0 else 1):
            self._post("/v1/events", encoded(batch), _BATCH)
            self.accepted.add(batch)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        """Post until it is accepted.

        What came of a 503, or of a request whose service was killed, is not known: a repeat is
        harmless.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while (answer := self._try(path, body, headers)) is None or answer.status_code == 503:
            assert time.monotonic() < deadline, answer and answer.text
        assert answer.status_code == 202, answer.text

    def _try(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response | None:
        """Post once; None when nobody answers."""
        try:
            return self._http.post(path, content=body, headers=headers)
        except httpx.TransportError:
            time.sleep(0.05)  # it is being started again
            return None

    def _send_straight(self, number: int, batch: list[Event]) -> None:
        """Send single events, every other one to a wrong partition, and one that is none."""
        sent = [
            self._producer.send(
                self._topic,
                encoded(event),
                key=event["subject"].encode(),
                partition=(self._owner(event["subject"]) + n % 2) % self._partitions,
            )
            for n, event in enumerate(batch)
        ]
        sent.append(self._producer.send(self._topic, b"{no event", partition=number % 4))
        for one in sent:
            one.get(30)
        self.accepted.add(batch)
        self.garbage += 1
