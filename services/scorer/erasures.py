"""The topic ``erasures``, as a whole: for backups, and for another Kafka that is to know it."""

from __future__ import annotations

from contextlib import aclosing

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from services.scorer.records import decode_erased
from services.scorer.state_store import read_to_end
from shared.adapters.kafka_connection import connection, try_access
from shared.domain.erasure import Erased
from shared.settings import Settings
from shared.topics import ERASURES


async def read_erasures(settings: Settings) -> list[Erased]:
    """Return who is erased, in the order of the topic.

    Raises
    ------
    KafkaAccessError
        With the reason and the remedy.

    """
    await try_access(settings)
    last: dict[bytes | None, bytes] = {}
    place = TopicPartition(settings.topic(ERASURES.name), 0)
    async with aclosing(read_to_end(settings, place)) as records:
        async for key, value in records:
            last[key] = value or b""
    return [decode_erased(value) for value in last.values()]


async def write_erasures(settings: Settings, found: list[Erased]) -> None:
    """Return when Kafka has them; raises as `read_erasures` does."""
    await try_access(settings)
    topic = settings.topic(ERASURES.name)
    async with AIOKafkaProducer(
        **connection(settings), enable_idempotence=True, acks="all"
    ) as producer:
        for each in found:
            name = each.name.encode()
            await producer.send_and_wait(
                topic, msgspec.json.encode(each), key=name, partition=0, headers=[("ce_id", name)]
            )
