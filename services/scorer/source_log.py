"""``customer-events`` read beside the stream: to see whether the stream left anything out.

Gaps between offsets are usual: transaction markers, records of aborted transactions and what aged
out take offsets and are never delivered. Whether a gap is of that kind only the log can tell.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.scorer.ports import Bounds
from services.scorer.records import moved_from
from shared import topics
from shared.adapters.kafka_connection import connection
from shared.domain.batch import Record
from shared.settings import Settings

_FETCH_MS: Final = 200


class KafkaSourceLog:
    """Reads places of ``customer-events``, committed records only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topic(topics.CUSTOMER_EVENTS.name)
        self._consumer: AIOKafkaConsumer | None = None
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Connect."""
        self._consumer = AIOKafkaConsumer(
            **connection(self._settings),
            isolation_level="read_committed",
            auto_offset_reset="earliest",  # where a place aged out, read on behind it
            enable_auto_commit=False,
        )
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def bounds(self, partition: int) -> Bounds:
        """Return where a partition begins and ends now."""
        consumer, tp = self._started(), TopicPartition(self._topic, partition)
        first = await consumer.beginning_offsets([tp])
        end = await consumer.end_offsets([tp])
        return Bounds(first[tp], end[tp])

    async def read(self, partition: int, first: int, end: int) -> list[Record]:
        """Return the first committed records of a place that ends before a record."""
        consumer, tp = self._started(), TopicPartition(self._topic, partition)
        async with self._reading:  # it has one position
            consumer.assign([tp])
            consumer.seek(tp, first)
            while await consumer.position(tp) < end:
                fetched = await consumer.getmany(tp, timeout_ms=_FETCH_MS)
                records = fetched.get(tp, ())
                if found := [
                    Record(
                        one.offset, one.timestamp, one.value, moved_from(one.headers), one.headers
                    )
                    for one in records
                    if first <= one.offset < end
                ]:
                    return found
        return []

    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("not started")
        return self._consumer
