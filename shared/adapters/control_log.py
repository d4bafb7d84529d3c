"""Control events: what every partition of ``customer-events`` hears at one place of its log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from shared import topics
from shared.adapters.event_log import customer_partition
from shared.adapters.kafka_connection import connection, try_access
from shared.adapters.topic_reader import committed_records
from shared.schemas.snapshots import version_of
from shared.settings import Settings


async def tell_every_partition(
    settings: Settings, event: bytes, *, pinned: int | None = None
) -> int:
    """Append a control event to each partition, in one transaction: all of them, or none.

    Parameters
    ----------
    pinned
        The version of the model that the event pins: it is published again with it, so that it
        stays for as long as the log tells of the pin (`shared.domain.retention`).

    Returns
    -------
    How many partitions there are.

    Raises
    ------
    KafkaAccessError
        With the reason and the remedy.

    """
    model = await _published(settings, pinned) if pinned else None
    async with _transaction(settings) as (producer, topic, partitions):
        for partition in range(partitions):
            await producer.send(topic, event, partition=partition)
        if model is not None:
            name = settings.topic(topics.CHURN_MODELS.name)
            await producer.send(name, model.value, model.key, 0, headers=list(model.headers))
    return partitions


async def _published(settings: Settings, version: int) -> ConsumerRecord | None:
    """Return the record of a version of the model, None if there is none any more."""
    await try_access(settings)
    place, newest = TopicPartition(settings.topic(topics.CHURN_MODELS.name), 0), None
    async for record in committed_records(settings, place):
        if version_of(record.key) == version:
            newest = record
    return newest if newest is not None and newest.value else None


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
        **connection(settings),
        transactional_id=settings.topic(f"control-{uuid4()}"),
        max_request_size=topics.LARGEST_MODEL_BYTES,
    )
    async with producer, producer.transaction():
        yield producer, topic, len(await producer.partitions_for(topic))
