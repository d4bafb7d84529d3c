"""Partition state in Kafka: a compacted changelog, and transactions that fence.

Each partition has a transactional id of its own. Initialising it aborts what a former owner left
open and shuts that owner out; reading the changelog afterwards therefore sees the last state that
will ever have been committed before ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from services.scorer.ports import PartitionStore, Restored
from shared import topics
from shared.domain.customer import CustomerTable
from shared.domain.emission import Effects
from shared.domain.errors import TenureError
from shared.domain.outputs import DeadLetter, Training, Watermark
from shared.domain.partition import Position
from shared.settings import Settings

#: Key of the record that says up to where the states stand; no customer id has a control character.
POSITION_KEY: Final = b"\0position"
_CLOCK_KEY: Final = "\0clock/{}"
_MODEL: Final = b"churn"
#: One produce request of ours; brokers take 1 MiB by default.
_BATCH_BYTES: Final = 900_000
_READ_RECORDS: Final = 20_000

_encode = msgspec.json.Encoder().encode
_decode_position = msgspec.json.Decoder(Position).decode

_Entry = tuple[bytes | None, bytes, list[tuple[str, bytes]]]


class OwnershipLostError(TenureError):
    """Another worker owns the partition now; this one must forget it."""


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
        self._producer = await self._fence()
        started = time.monotonic()
        table, position, records = await self._read()
        return Restored(table, position, records, time.monotonic() - started)

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        """Write everything in one transaction.

        Raises
        ------
        OwnershipLostError
            A later owner fenced this one.

        """
        if self._producer is None:
            raise OwnershipLostError("the partition was not restored")
        try:
            async with self._producer.transaction():
                await asyncio.gather(
                    *[
                        self._send(self._producer, topic, partition, entries)
                        for topic, partition, entries in self._writes(effects, position)
                    ]
                )
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise OwnershipLostError(f"partition {self._partition} has another owner") from error

    async def close(self) -> None:
        """Close the connection; a transaction under way is aborted by the broker's fencing."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _fence(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            transactional_id=self._settings.topic(f"scorer-{self._partition}"),
            transaction_timeout_ms=60_000,
            max_batch_size=_BATCH_BYTES,
            max_request_size=8 * _BATCH_BYTES,
            linger_ms=0,
        )
        await producer.start()
        return producer

    async def _read(self) -> tuple[CustomerTable, Position, int]:
        tp = TopicPartition(self._settings.topic(topics.CUSTOMER_STATE.name), self._partition)
        table, position, records = CustomerTable(), Position(), 0
        async for key, value in read_to_end(self._settings, tp):
            records += 1
            if key == POSITION_KEY:
                position = _decode_position(value)
            elif key is not None:
                table.restore(key, value)
        return table, position, records

    def _writes(
        self, effects: Sequence[Effects], position: Position
    ) -> Iterable[tuple[topics.Topic, int, list[_Entry]]]:
        own = self._partition
        scores: list[_Entry] = [
            (score.customer.encode(), _encode(score), []) for one in effects for score in one.scores
        ]
        clocks = [one.clock for one in effects if one.clock]
        clock: list[_Entry] = [
            (_CLOCK_KEY.format(own).encode(), _encode(clock), []) for clock in clocks[-1:]
        ]
        # The position goes with the states, last, so that whoever reads one has read the others.
        states = _latest(state for one in effects for state in one.states)
        yield topics.CUSTOMER_STATE, own, [*states, (POSITION_KEY, _encode(position), [])]
        yield topics.CUSTOMER_SCORES, own, [*scores, *clock]
        yield topics.SCORE_HISTORY, own, [*scores, *clock]
        yield (
            topics.LIFECYCLE_TRANSITIONS,
            own,
            [
                (move.customer.encode(), _encode(move), [])
                for one in effects
                for move in one.transitions
            ],
        )
        yield topics.TRAINING_EXAMPLES, 0, self._training(effects, position)
        yield (
            topics.DEAD_LETTER,
            0,
            [self._dead_letter(letter) for one in effects for letter in one.letters],
        )
        for target, raw in (misplaced for one in effects for misplaced in one.misplaced):
            yield topics.CUSTOMER_EVENTS, target, [(None, raw, [])]

    def _training(self, effects: Sequence[Effects], position: Position) -> list[_Entry]:
        examples = [example for one in effects for example in one.examples]
        if not examples and not any(one.clock for one in effects):
            return []  # a watermark alone is worth a record when time has passed a mark
        watermark = Watermark(self._partition, position.now)
        return [(_MODEL, _encode(Training(watermark, examples)), [])]

    def _dead_letter(self, letter: DeadLetter) -> _Entry:
        origin = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        facts = {
            "error": letter.error,
            "field": letter.field,
            "reason": letter.reason,
            "remedy": letter.remedy,
            "topic": origin,
            "partition": letter.partition,
            "offset": letter.offset,
            "index": "" if letter.index is None else letter.index,
        }
        return None, letter.value, [(name, str(fact).encode()) for name, fact in facts.items()]

    async def _send(
        self, producer: AIOKafkaProducer, topic: topics.Topic, partition: int, entries: list[_Entry]
    ) -> None:
        """Send records in batches that are made here: a fraction of the cost of ``send``."""
        name = self._settings.topic(topic.name)
        acknowledged = []
        batch = producer.create_batch()
        for key, value, headers in entries:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                batch.close()
                acknowledged.append(await producer.send_batch(batch, name, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if entries:
            batch.close()
            acknowledged.append(await producer.send_batch(batch, name, partition=partition))
        await asyncio.gather(*acknowledged)


def _latest(states: Iterable[tuple[bytes, bytes]]) -> list[_Entry]:
    """Keep the last state of each customer: the others would be compacted away."""
    return [(key, value, []) for key, value in dict(states).items()]


async def read_to_end(
    settings: Settings, tp: TopicPartition
) -> AsyncIterator[tuple[bytes | None, bytes]]:
    """Yield (key, value) of all committed records that a partition holds now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",  # aiokafka's default, latest, races with the seek below
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 * 1024 * 1024,
        fetch_max_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        while await consumer.position(tp) < end:
            found = await consumer.getmany(tp, timeout_ms=200, max_records=_READ_RECORDS)
            for record in found.get(tp, ()):
                if record.value is not None:
                    yield record.key, record.value
    finally:
        await consumer.stop()
