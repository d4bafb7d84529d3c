"""Ticks: how the time of a silent partition moves, as part of its log."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaProducer

from shared import topics
from shared.adapters.kafka_connection import connection
from shared.settings import Settings


class KafkaTicks:
    """Appends ticks to ``customer-events``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect."""
        self._producer = AIOKafkaProducer(**connection(self._settings), enable_idempotence=True)
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def partitions(self) -> int:
        """Return how many partitions ``customer-events`` has."""
        if self._producer is None:
            raise RuntimeError("not started")
        topic = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        return len(await self._producer.partitions_for(topic))

    async def tick(self, partition: int, now_ms: int) -> None:
        """Append a tick; a second owner's tick of the same silence does no harm."""
        if self._producer is None:
            raise RuntimeError("not started")
        topic = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        await self._producer.send_and_wait(topic, _tick(partition, now_ms), partition=partition)


def _tick(partition: int, now_ms: int) -> bytes:
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "type": "tenure.tick",
            "id": f"{partition}/{now_ms}",
            "source": "tenure/scorer",
            "time": datetime.fromtimestamp(now_ms / 1000, UTC),
            "data": {},
        }
    )
