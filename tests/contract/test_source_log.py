"""`customer-events` beside its stream: one suite over memory and a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, TopicPartition

from services.scorer.memory import MemorySourceLog
from services.scorer.ports import Bounds, SourceLog
from services.scorer.source_log import KafkaSourceLog
from shared import topics
from shared.domain.batch import Record
from tests.support.cluster import Cluster

PARTITIONS = 2


class Bench(Protocol):
    """A log, and who writes to it."""

    source: SourceLog

    async def append(self, partition: int, *values: bytes) -> list[int]:
        """Append records; return their offsets."""

    async def append_in_transaction(
        self, partition: int, *values: bytes, commit: bool = True
    ) -> None:
        """Append records in a transaction: its end takes an offset of its own."""

    async def cut(self, partition: int, before: int) -> None:
        """Delete what comes before an offset, as retention does."""


class MemoryBench:
    def __init__(self) -> None:
        self.source = MemorySourceLog()

    async def append(self, partition: int, *values: bytes) -> list[int]:
        start = (await self.source.bounds(partition)).end
        added = [Record(start + n, 1_000, value) for n, value in enumerate(values)]
        self.source.records[partition] += added
        self.source.ends[partition] = start + len(values)
        return [one.offset for one in added]

    async def append_in_transaction(
        self, partition: int, *values: bytes, commit: bool = True
    ) -> None:
        await self.append(partition, *values)
        if not commit:
            del self.source.records[partition][-len(values) :]
        self.source.ends[partition] += 1

    async def cut(self, partition: int, before: int) -> None:
        held = self.source.records[partition]
        self.source.records[partition] = [one for one in held if one.offset >= before]


class KafkaBench:
    def __init__(self, cluster: Cluster, source: KafkaSourceLog) -> None:
        self.source = source
        self._settings = cluster.settings
        self._topic = cluster.settings.topic(topics.CUSTOMER_EVENTS.name)

    @asynccontextmanager
    async def _producer(self, transaction: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers, transactional_id=transaction
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def append(self, partition: int, *values: bytes) -> list[int]:
        async with self._producer() as producer:
            return await self._send(producer, partition, values)

    async def append_in_transaction(
        self, partition: int, *values: bytes, commit: bool = True
    ) -> None:
        async with self._producer(self._settings.topic("writer")) as producer:
            await producer.begin_transaction()
            sent = await self._send(producer, partition, values)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        # Kafka answers before the marker is in the log: what is appended next could be before it.
        async with asyncio.timeout(60):
            while (await self.source.bounds(partition)).end < sent[-1] + 2:  # noqa: ASYNC110  # Kafka
                await asyncio.sleep(0.01)

    async def _send(
        self, producer: AIOKafkaProducer, partition: int, values: tuple[bytes, ...]
    ) -> list[int]:
        sent = [
            await producer.send_and_wait(self._topic, value, partition=partition)
            for value in values
        ]
        return [one.offset for one in sent]

    async def cut(self, partition: int, before: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap_servers)
        try:
            admin.delete_records({TopicPartition(self._topic, partition): before})
        finally:
            admin.close()


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield MemoryBench()
        return
    cluster = Cluster(request.getfixturevalue("kafka"), prefix, partitions=PARTITIONS)
    cluster.create_topics()
    source = KafkaSourceLog(cluster.settings)
    await source.start()
    yield KafkaBench(cluster, source)
    await source.stop()


def values(found: list[Record]) -> list[bytes | None]:
    return [one.value for one in found]


async def read_all(bench: Bench, partition: int, first: int, end: int) -> list[Record]:
    """Read a place to its end, however many records come at once."""
    found: list[Record] = []
    while more := await bench.source.read(partition, first, end):
        found += more
        first = more[-1].offset + 1
    return found


async def test_an_empty_partition_begins_and_ends_at_once(bench: Bench) -> None:
    assert await bench.source.bounds(0) == Bounds(0, 0)


async def test_a_place_is_read_with_its_bounds(bench: Bench) -> None:
    offsets = await bench.append(0, *(b"%d" % n for n in range(10)))
    await bench.append(1, b"other")
    assert offsets == list(range(10))
    found = await read_all(bench, 0, 3, 7)
    assert [one.offset for one in found] == [3, 4, 5, 6]
    assert values(found) == [b"3", b"4", b"5", b"6"]
    assert all(one.timestamp > 0 for one in found)
    assert await bench.source.bounds(0) == Bounds(0, 10)
    assert values(await read_all(bench, 1, 0, 1)) == [b"other"]
    assert values(await read_all(bench, 0, 0, 2)) == [b"0", b"1"]


async def test_much_is_read_in_several_goes(bench: Bench) -> None:
    large = [b"%6d" % n + b"x" * 10_000 for n in range(300)]
    await bench.append(0, *large)
    assert values(await read_all(bench, 0, 0, 300)) == large


async def test_ends_of_transactions_and_what_was_aborted_are_nothing(bench: Bench) -> None:
    await bench.append(0, b"before")
    await bench.append_in_transaction(0, b"committed")
    await bench.append_in_transaction(0, b"aborted", b"aborted", commit=False)
    await bench.append(0, b"behind")
    assert await bench.source.bounds(0) == Bounds(0, 7)
    assert await bench.source.read(0, 2, 6) == []
    assert values(await read_all(bench, 0, 0, 7)) == [b"before", b"committed", b"behind"]


async def test_what_aged_out_is_nothing(bench: Bench) -> None:
    await bench.append(0, *(b"%d" % n for n in range(10)))
    await bench.cut(0, 6)
    assert await bench.source.bounds(0) == Bounds(6, 10)
    assert await bench.source.read(0, 2, 6) == []
    assert values(await read_all(bench, 0, 2, 8)) == [b"6", b"7"]
    await bench.cut(0, 10)
    assert await bench.source.bounds(0) == Bounds(10, 10)
