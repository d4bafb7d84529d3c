"""Making and reading topics of a real broker."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


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
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    values: list[bytes] = []
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            batches = await consumer.getmany(timeout_ms=1000)
            values += [record.value for records in batches.values() for record in records]
    finally:
        await consumer.stop()
    return values
