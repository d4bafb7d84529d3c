"""What comes out, and when: scores and triggers by Kafka, profiles by the operator API.

All times are of one monotonic clock, that of this process, so that no two clocks are compared.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from shared.adapters.kafka_connection import connection
from shared.domain.errors import TenureError
from shared.settings import Settings
from shared.topics import CUSTOMER_SCORES, RETENTION_TRIGGERS, Topic

_DRAIN_S: Final = 30.0
_POLL_S: Final = 0.02
_PROFILE_S: Final = 0.5


class MissingError(TenureError):
    """What was posted did not come out."""


class Quantiles(Struct, frozen=True):
    """Milliseconds."""

    name: str
    count: int
    p50: float
    p90: float
    p99: float
    max: float


class Watch:
    """Notes when each probe was due, and when it was first seen at each place."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._accepted: dict[str, float] = {}
        self._scored: dict[str, float] = {}
        self._triggered: dict[str, float] = {}
        self._shown: dict[str, float] = {}
        self._sampled: set[str] = set()
        self._latest: str | None = None

    def expect(self, probes: Iterable[str], due: float) -> None:
        """Measure these customers, whose request is due at a monotonic time."""
        for probe in probes:
            self._due[probe] = due
            self._latest = probe

    def accepted(self, probes: Iterable[str]) -> None:
        """Note that the request of these customers was answered 202."""
        _note(self._accepted, probes)

    async def follow(self, settings: Settings, stop: asyncio.Event) -> None:
        """Note scores and triggers as readers who read committed see them, until ``stop``."""
        async with (
            _reading(settings, CUSTOMER_SCORES) as scores,
            _reading(settings, RETENTION_TRIGGERS) as triggers,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._note_keys(scores, self._scored, stop))
            tasks.create_task(self._note_keys(triggers, self._triggered, stop))

    async def ask(self, http: httpx.AsyncClient, stop: asyncio.Event) -> None:
        """Ask the operator API for the profile of a probe twice a second, until it is there."""
        while not stop.is_set():
            probe = self._latest
            if probe is not None and probe not in self._sampled:
                self._sampled.add(probe)
                while not stop.is_set() and probe not in self._shown:
                    answer = await http.get(f"/v1/customers/{probe}")
                    if answer.is_success and answer.json()["visits"]:
                        _note(self._shown, [probe])
                    else:
                        await asyncio.sleep(_POLL_S)
            await asyncio.sleep(_PROFILE_S)

    async def drained(self) -> None:
        """Return when every trigger was seen.

        Raises
        ------
        MissingError
            Some did not come for half a minute.

        """
        until = time.monotonic() + _DRAIN_S
        while missing := self._due.keys() - self._triggered.keys():
            if time.monotonic() > until:
                raise MissingError(
                    f"{len(missing):,} of {len(self._due):,} triggers did not come within "
                    f"{_DRAIN_S:.0f} s: this machine does not keep up. Ask for less with --rate."
                )
            await asyncio.sleep(_POLL_S)

    def quantiles(self) -> list[Quantiles]:
        """Return what was measured; each from when the request was due, unless it says another."""
        due, accepted, scored = self._due, self._accepted, self._scored
        return [
            _quantiles("POST to trigger readable", due, self._triggered),
            _quantiles("POST to 202", due, accepted),
            _quantiles("202 to score readable", accepted, scored),
            _quantiles("score readable to trigger readable", scored, self._triggered),
            _quantiles("POST to profile by the operator API", due, self._shown),
        ]

    async def _note_keys(
        self, consumer: AIOKafkaConsumer, seen: dict[str, float], stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            found = await consumer.getmany(timeout_ms=100)
            keys = (record.key.decode() for records in found.values() for record in records)
            _note(seen, (key for key in keys if key in self._due))


@asynccontextmanager
async def _reading(settings: Settings, topic: Topic) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer of what will be written to a topic from now on."""
    consumer = AIOKafkaConsumer(
        **connection(settings), isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        name = settings.topic(topic.name)
        partitions = [TopicPartition(name, each) for each in range(settings.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        yield consumer
    finally:
        await consumer.stop()


def _note(seen: dict[str, float], probes: Iterable[str]) -> None:
    now = time.monotonic()
    for probe in probes:
        seen.setdefault(probe, now)


def _quantiles(name: str, since: Mapping[str, float], until: Mapping[str, float]) -> Quantiles:
    """Measure between two notes, for those of whom there are both."""
    both = since.keys() & until.keys()
    took = np.array([until[each] - since[each] for each in both] or [np.nan]) * 1000
    p50, p90, p99 = np.percentile(took, (50, 90, 99))
    return Quantiles(name, len(both), float(p50), float(p90), float(p99), float(took.max()))
