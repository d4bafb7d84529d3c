"""Control events: what every partition of ``customer-events`` hears at one place of its log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from shared import topics
from shared.adapters.event_log import customer_partition
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
    async with _transaction(settings) as (producer, topic, partitions):
        for partition in range(partitions):
            await producer.send(topic, event, partition=partition)
    return partitions


async def tell_customers(settings: Settings, events: Mapping[str, bytes]) -> None:
    """Append to each customer's partition what it is to hear, in one transaction.

    Raises
    ------
    KafkaAccessError, KafkaError
        Nothing was told, or nobody knows whether it was.

    """
    async with _transaction(settings) as (producer, topic, partitions):
        for customer, event in events.items():
            partition = customer_partition(customer, partitions)
            await producer.send(topic, event, partition=partition)


@asynccontextmanager
async def _transaction(settings: Settings) -> AsyncIterator[tuple[AIOKafkaProducer, str, int]]:
    """Yield a producer within a transaction, the topic and how many partitions it has."""
    await try_access(settings)
    topic = settings.topic(topics.CUSTOMER_EVENTS.name)
    producer = AIOKafkaProducer(
        **connection(settings), transactional_id=settings.topic(f"control-{uuid4()}")
    )
    async with producer, producer.transaction():
        yield producer, topic, len(await producer.partitions_for(topic))
