"""Reads a small topic from its beginning to what is its end now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.adapters.kafka_connection import connection
from shared.settings import Settings

_FETCH_MS: Final = 200


async def committed_records(
    settings: Settings, place: TopicPartition
) -> AsyncIterator[ConsumerRecord]:
    """Yield every committed record of a partition that is there now, the oldest first."""
    consumer = AIOKafkaConsumer(
        **connection(settings),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < end:
            found = await consumer.getmany(place, timeout_ms=_FETCH_MS)
            for record in found.get(place, ()):
                yield record
    finally:
        await consumer.stop()
