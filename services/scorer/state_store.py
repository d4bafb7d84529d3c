"""Partition state in Kafka: a compacted changelog, and transactions that fence.

Each partition has a transactional id of its own. Initialising it aborts what a former owner left
open and shuts that owner out; reading the changelog afterwards therefore sees the last state that
will ever have been committed before ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from services.scorer.ports import OwnershipLostError, PartitionStore, Restored
from services.scorer.records import Entry, StateReader, Write, decode_erased, writes
from shared import topics
from shared.adapters.kafka_connection import connection
from shared.domain.emission import Effects
from shared.domain.erasure import Erased
from shared.domain.position import Position
from shared.settings import Settings

#: One produce request of ours; brokers take 1 MiB by default. A larger record has one of its own.
_BATCH_BYTES: Final = 900_000
_READ_RECORDS: Final = 20_000


class KafkaStateStore:
    """Opens partitions of ``customer-state``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def open(self, partition: int) -> PartitionStore:
        """Return the store of a partition; nothing is read or fenced yet."""
        return KafkaPartitionStore(self._settings, partition)


class KafkaPartitionStore:
    """One partition's states and outputs, written in transactions."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._producer: AIOKafkaProducer | None = None

    async def restore(self) -> Restored:
        """Fence former owners, then read the changelog to its end."""
        await self._fence()
        started = time.monotonic()
        tp = TopicPartition(self._settings.topic(topics.CUSTOMER_STATE.name), self._partition)
        state = StateReader()
        async with aclosing(read_to_end(self._settings, tp)) as records:
            async for key, value in records:
                state.take(key, value)
        erased = await self._erased()
        seconds = time.monotonic() - started
        return Restored(state.table, state.position, state.records, seconds, erased)

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        """Write everything in one transaction.

        Raises
        ------
        OwnershipLostError
            A later owner fenced this one.

        """
        producer = self._producer
        if producer is None:
            raise OwnershipLostError("the partition was not restored")
        events = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        try:
            async with producer.transaction():
                written = writes(self._partition, events, effects, position)
                await _all(self._send(producer, write) for write in written)
        except (ProducerFenced, InvalidProducerEpoch) as error:
            await self.close()
            raise OwnershipLostError(f"partition {self._partition} has another owner") from error

    async def close(self) -> None:
        """Close the connection; a transaction under way is aborted by the broker's fencing."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _erased(self) -> list[Erased]:
        """Return who was erased, of any partition."""
        tp = TopicPartition(self._settings.topic(topics.ERASURES.name), 0)
        async with aclosing(read_to_end(self._settings, tp)) as records:
            return [decode_erased(value) async for _, value in records if value]

    async def _fence(self) -> None:
        """Initialise the transactional id; what is cut short here is closed by `close`."""
        await self.close()
        self._producer = AIOKafkaProducer(
            **connection(self._settings),
            transactional_id=self._settings.topic(f"scorer-{self._partition}"),
            transaction_timeout_ms=60_000,
            max_batch_size=_BATCH_BYTES,
            max_request_size=8 * _BATCH_BYTES,
            linger_ms=0,
        )
        await self._producer.start()

    async def _send(self, producer: AIOKafkaProducer, write: Write) -> None:
        """Send records in batches that are made here: a fraction of the cost of ``send``."""
        if not write.entries:
            return
        name = self._settings.topic(write.topic.name)
        acknowledged = []
        batch = producer.create_batch()
        for entry in write.entries:
            if not _fits(batch, entry):
                batch.close()
                sent = await producer.send_batch(batch, name, partition=write.partition)
                acknowledged.append(sent)
                batch = producer.create_batch()
                _fits(batch, entry)
        batch.close()
        acknowledged.append(await producer.send_batch(batch, name, partition=write.partition))
        await _all(acknowledged)


async def _all(awaitables: Iterable[Awaitable[object]]) -> None:
    """Wait for all, also when one fails, so that no other failure goes unseen."""
    for outcome in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _fits(batch: BatchBuilder, entry: Entry) -> bool:
    """Append an entry unless the batch is full; the first one always fits."""
    key, value, headers = entry
    return batch.append(key=key, value=value, timestamp=None, headers=headers) is not None


async def read_to_end(
    settings: Settings, tp: TopicPartition
) -> AsyncGenerator[tuple[bytes | None, bytes | None], None]:
    """Yield (key, value) of all committed records that a partition holds now."""
    consumer = AIOKafkaConsumer(
        **connection(settings),
        isolation_level="read_committed",
        auto_offset_reset="earliest",  # aiokafka's default, latest, races with the seek below
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * 1024 * 1024,
        fetch_max_bytes=8 * 1024 * 1024,
    )
    try:
        await consumer.start()
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        while await consumer.position(tp) < end:
            found = await consumer.getmany(tp, timeout_ms=200, max_records=_READ_RECORDS)
            for record in found.get(tp, ()):
                yield record.key, record.value
    finally:
        await consumer.stop()
