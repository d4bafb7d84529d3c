"""Kafka's logs as pages ask for them: some records from a place on, never a whole topic at once.

All pages share one consumer, which belongs to no group and commits nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from services.campaigner.connections import open_consumer
from shared.adapters.kafka_connection import connection, require_access
from shared.domain.errors import TenureError
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: Of one partition, within one answer of the broker.
_FETCH_BYTES: Final = 1_048_576
_POLL_MS: Final = 100
_ASK_MS: Final = 2_000
#: What one call may take, however much there is to read.
_PATIENCE_S: Final = 1.5
#: After a failure Kafka is left alone for so long, and pages answer at once.
_RETRY_S: Final = 5.0


class LogUnreadableError(TenureError):
    """Kafka cannot be read now; the message says why and what to do."""


class LogReader:
    """Reads a deployment's topics; any thread may call, one at a time is served."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: KafkaConsumer | None = None
        self._busy = Lock()
        self._problem = ""
        self._retry_at = 0.0

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the partitions of a topic by its declared name."""
        name = self._settings.topic(topic)
        with self._connected() as consumer:
            numbers = sorted(consumer.partitions_for_topic(name) or ())
        if not numbers:
            raise LogUnreadableError(f"Kafka has no topic {name}. Run `tenure topics`.")
        return [TopicPartition(name, each) for each in numbers]

    def bounds(self, places: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the first offset that each partition still has, and the one behind its last."""
        wanted = list(places)
        with self._connected() as consumer:
            first = consumer.beginning_offsets(wanted, timeout_ms=_ASK_MS)
            last = consumer.end_offsets(wanted, timeout_ms=_ASK_MS)
        return {each: (first[each], last[each]) for each in wanted}

    def read(
        self, starts: Mapping[TopicPartition, int], *, most: int
    ) -> tuple[list[Any], dict[TopicPartition, int]]:
        """Return records from offsets on, and where to read on.

        Parameters
        ----------
        starts
            Where to begin.
        most
            About how many records at the most. What is left is for the next call, as is what
            could not be had within a second or two.

        """
        found: list[Any] = []
        with self._connected() as consumer:
            consumer.assign(list(starts))
            for place, offset in starts.items():
                consumer.seek(place, offset)
            ends = consumer.end_offsets(list(starts), timeout_ms=_ASK_MS)
            give_up = time.monotonic() + _PATIENCE_S
            while len(found) < most and time.monotonic() < give_up:
                if all(consumer.position(each) >= end for each, end in ends.items()):
                    break
                polled = consumer.poll(timeout_ms=_POLL_MS, max_records=most - len(found))
                for records in polled.values():
                    found += records
            return found, {each: consumer.position(each) for each in starts}

    def close(self) -> None:
        """Let go of the connections."""
        with self._busy:
            self._close()

    @contextmanager
    def _connected(self) -> Iterator[KafkaConsumer]:
        with self._busy:
            if time.monotonic() < self._retry_at:
                raise LogUnreadableError(self._problem)
            try:
                yield self._consumer or self._open()
            except (KafkaError, TenureError, OSError) as error:
                self._give_up(error)
                raise LogUnreadableError(self._problem) from error

    def _open(self) -> KafkaConsumer:
        require_access(self._settings)
        self._consumer = open_consumer(
            **connection(self._settings),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # where retention has passed the place that we knew
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        return self._consumer

    def _give_up(self, error: Exception) -> None:
        self._problem = str(error) if isinstance(error, TenureError) else self._silent(error)
        log.warning("the console cannot read kafka", reason=self._problem, retry_s=_RETRY_S)
        self._retry_at = time.monotonic() + _RETRY_S
        self._close()

    def _silent(self, error: Exception) -> str:
        servers = self._settings.kafka_bootstrap_servers
        return f"Kafka at {servers} does not answer ({type(error).__name__}). Check that it runs"

    def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(timeout_ms=_POLL_MS)
