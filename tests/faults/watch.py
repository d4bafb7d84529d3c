"""Follows the changelog from outside: how far each partition is durable, and what was compacted."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from threading import Condition, Event, Thread

import msgspec
from kafka import KafkaConsumer, TopicPartition

from services.scorer.records import POSITION_KEY
from shared import topics
from shared.domain.position import Position
from tests.support.cluster import Cluster

_decode = msgspec.json.Decoder(Position).decode


class Watch:
    """Reads the committed records of ``customer-state`` as they come."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._positions: dict[int, Position] = {}
        self._offsets: dict[int, set[int]] = defaultdict(set)
        self._changed = Condition()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def accepted(self) -> int:
        """Return how many events are durable, in all partitions."""
        return sum(one.counts.accepted for one in list(self._positions.values()))

    def offsets(self) -> dict[int, int]:
        """Return the offset of ``customer-events`` up to which each partition is durable."""
        return {number: one.offset for number, one in list(self._positions.items())}

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Return when a condition holds that may come true as the changelog grows."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), f"in vain: {self.offsets()}"

    def await_compaction(self, seconds: float) -> None:
        """Return when of each partition something is gone that was seen in its changelog."""
        deadline = time.monotonic() + seconds
        for number in range(self._cluster.settings.partitions):
            while not self._offsets[number] - self._left(number):
                assert time.monotonic() < deadline, f"partition {number} was not compacted"

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _left(self, number: int) -> set[int]:
        records = self._cluster.read(topics.CUSTOMER_STATE, number)
        return {record.offset for record in records}

    def _run(self) -> None:
        settings = self._cluster.settings
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        name = settings.topic(topics.CUSTOMER_STATE.name)
        consumer.assign([TopicPartition(name, number) for number in range(settings.partitions)])
        while not self._stop.is_set():
            for tp, records in consumer.poll(timeout_ms=200).items():
                self._take(tp.partition, records)
        consumer.close()

    def _take(self, number: int, records: list) -> None:
        with self._changed:
            for record in records:
                self._offsets[number].add(record.offset)
                if record.key == POSITION_KEY:
                    self._positions[number] = _decode(record.value)
            self._changed.notify_all()
