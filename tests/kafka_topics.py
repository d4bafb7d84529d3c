"""Making and reading topics of a real broker."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord


async def create_topic(servers: str, topic: str, partitions: int, **config: str) -> None:
    """Create a topic; dots in the names of settings are written as underscores."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    settings = {name.replace("_", "."): value for name, value in config.items()}
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
    finally:
        await admin.close()


async def read_partition(servers: str, topic: str, partition: int) -> list[bytes]:
    """Return the values of all records that are in a partition now, in order."""
    return [record.value for record in await read_records(servers, topic, partition)]


async def read_records(servers: str, topic: str, partition: int) -> list[ConsumerRecord]:
    """Return all records that are in a partition now, in order."""
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    found: list[ConsumerRecord] = []
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            batches = await consumer.getmany(timeout_ms=1000)
            found += [record for records in batches.values() for record in records]
    finally:
        await consumer.stop()
    return found
