"""Control events: what every partition of ``customer-events`` hears at one place of its log."""

from __future__ import annotations

from uuid import uuid4

from aiokafka import AIOKafkaProducer

from shared import topics
from shared.adapters.kafka_connection import connection, try_access
from shared.settings import Settings


async def tell_every_partition(settings: Settings, event: bytes) -> int:
    """Append a control event to each partition, in one transaction: all of them, or none.

    Returns
    -------
    How many partitions there are.

    Raises
    ------
    KafkaAccessError
        With the reason and the remedy.

    """
    await try_access(settings)
    topic = settings.topic(topics.CUSTOMER_EVENTS.name)
    producer = AIOKafkaProducer(
        **connection(settings), transactional_id=settings.topic(f"control-{uuid4()}")
    )
    async with producer, producer.transaction():
        partitions = sorted(await producer.partitions_for(topic))
        for partition in partitions:
            await producer.send(topic, event, partition=partition)
    return len(partitions)
