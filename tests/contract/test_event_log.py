"""What every event log promises: one suite over memory and over a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import ConsumerRecord

from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.event_log import (
    EventLog,
    EventLogError,
    KafkaEventLog,
    MemoryEventLog,
    RecordTooLargeError,
    customer_partition,
)
from shared.settings import Settings
from tests.kafka_topics import create_topic, read_records
from tests.waiting import until

PARTITIONS = 4
LIMIT = 100_000


class Bench(Protocol):
    """A log, a way to read it, and a way to take it away for a while."""

    log: EventLog

    async def read(self, partition: int) -> list[bytes]: ...

    async def headers(self, partition: int) -> list[list[tuple[str, bytes]]]: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.log = MemoryEventLog(PARTITIONS, LIMIT)

    async def read(self, partition: int) -> list[bytes]:
        return self.log.records[partition]

    async def headers(self, partition: int) -> list[list[tuple[str, bytes]]]:
        return self.log.headers[partition]

    def pause(self) -> None:
        self.log.pause()

    def resume(self) -> None:
        self.log.resume()


class KafkaBench:
    def __init__(self, broker: EmbeddedKafka, topic: str) -> None:
        self.broker, self.topic = broker, topic
        settings = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        self.log = KafkaEventLog(settings, topic, request_timeout_ms=2_000)
        self.pause, self.resume = broker.pause, broker.resume

    async def create(self, **config: str) -> None:
        await create_topic(self.broker.bootstrap_servers, self.topic, PARTITIONS, **config)

    async def administer(self, do: Callable[[AIOKafkaAdminClient], object]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap_servers)
        await admin.start()
        try:
            await do(admin)  # type: ignore[misc]
        finally:
            await admin.close()

    async def read(self, partition: int) -> list[bytes]:
        return [record.value for record in await self._records(partition)]

    async def headers(self, partition: int) -> list[list[tuple[str, bytes]]]:
        return [list(record.headers) for record in await self._records(partition)]

    async def _records(self, partition: int) -> list[ConsumerRecord]:
        return await read_records(self.broker.bootstrap_servers, self.topic, partition)


@pytest.fixture
def kafka_bench(kafka: EmbeddedKafka, prefix: str) -> KafkaBench:
    return KafkaBench(kafka, f"{prefix}events")


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    chosen: Bench = MemoryBench()
    if request.param == "kafka":
        chosen = request.getfixturevalue("kafka_bench")
        await chosen.create(max_message_bytes=str(LIMIT))  # type: ignore[attr-defined]
    await chosen.log.start()
    await until(lambda: chosen.log.problem() is None)
    yield chosen
    await chosen.log.stop()


async def test_each_partition_keeps_its_records_in_order(bench: Bench) -> None:
    offsets = [await bench.log.append(1, f"a{i}".encode()) for i in range(20)]
    assert offsets == sorted(set(offsets))
    await asyncio.gather(*(bench.log.append(p, b"b") for p in range(PARTITIONS)))
    assert await bench.read(1) == [f"a{i}".encode() for i in range(20)] + [b"b"]
    assert await bench.read(3) == [b"b"]


async def test_headers_stay_with_their_record(bench: Bench) -> None:
    await bench.log.append(2, b"a", [("tenure-traces", b"[]")])
    await bench.log.append(2, b"b")
    assert await bench.headers(2) == [[("tenure-traces", b"[]")], []]


async def test_it_knows_its_partitions_and_refuses_others(bench: Bench) -> None:
    assert bench.log.partitions == PARTITIONS
    for partition in (-1, PARTITIONS):
        with pytest.raises(ValueError, match="no partition"):
            await bench.log.append(partition, b"x")


async def test_a_record_over_the_limit_is_refused_and_harms_nothing(bench: Bench) -> None:
    largest = bench.log.max_record_bytes
    assert LIMIT * 0.9 < largest <= LIMIT
    with pytest.raises(RecordTooLargeError):
        await bench.log.append(0, b"x" * (largest + 1))
    await bench.log.append(0, b"y" * largest)
    assert [len(value) for value in await bench.read(0)] == [largest]


async def test_an_append_waits_for_a_log_that_is_away_and_arrives_once(bench: Bench) -> None:
    await bench.log.append(2, b"before")
    bench.pause()
    try:
        append = asyncio.create_task(bench.log.append(2, b"during"))
        # Longer than the request timeout, so that Kafka's record is sent more than once.
        done, _ = await asyncio.wait({append}, timeout=3)
        assert not done
    finally:
        bench.resume()
    await append
    await bench.log.append(2, b"after")
    assert await bench.read(2) == [b"before", b"during", b"after"]


async def test_after_stop_nothing_is_taken(bench: Bench) -> None:
    await bench.log.stop()
    assert bench.log.problem() is not None
    with pytest.raises(EventLogError):
        await bench.log.append(0, b"x")


async def test_stop_does_not_wait_for_ever_for_a_log_that_is_away(bench: Bench) -> None:
    bench.pause()
    try:
        append = asyncio.create_task(bench.log.append(0, b"x"))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await bench.log.stop()
            with pytest.raises(EventLogError):
                await append
    finally:
        bench.resume()


async def test_before_the_topic_exists_it_says_how_to_create_it(kafka_bench: KafkaBench) -> None:
    log = kafka_bench.log
    await log.start()
    try:
        await until(lambda: "tenure topics" in (log.problem() or ""))
        assert log.partitions == 0
        with pytest.raises(EventLogError, match="Nothing was written"):
            await log.append(0, b"x")
        await kafka_bench.create()
        await until(lambda: log.problem() is None)
        assert await log.append(0, b"x") == 0
    finally:
        await log.stop()


async def test_when_kafka_refuses_a_record_for_good_the_next_one_still_gets_through(
    kafka_bench: KafkaBench,
) -> None:
    await kafka_bench.create(max_message_bytes=str(LIMIT))
    log = kafka_bench.log
    await log.start()
    try:
        await until(lambda: log.problem() is None)
        await log.append(0, b"before")
        # An operator lowers the limit behind the producer's back: the broker refuses the record,
        # and everything after it, because the idempotent producer's sequence has a hole.
        await kafka_bench.administer(lambda admin: _lower_limit(admin, kafka_bench.topic))
        large = b"x" * (LIMIT // 2)
        taken = await asyncio.wait_for(_taken_until_refused(log, large), 30)
        await until(lambda: log.problem() is None)
        with pytest.raises(RecordTooLargeError):
            await log.append(0, large)
        await log.append(0, b"after")
        assert await kafka_bench.read(0) == [b"before", *[large] * taken, b"after"]
    finally:
        await log.stop()


async def _taken_until_refused(log: KafkaEventLog, record: bytes) -> int:
    """Append until it is refused: the broker hears of a limit a moment after the controller."""
    taken = 0
    while True:
        try:
            await log.append(0, record)
        except EventLogError:
            return taken
        taken += 1


async def _lower_limit(admin: AIOKafkaAdminClient, topic: str) -> None:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    changed = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "20000"})
    await admin.alter_configs([changed])


async def test_new_partitions_are_noticed(kafka_bench: KafkaBench) -> None:
    await kafka_bench.create()
    await kafka_bench.log.start()
    try:
        await until(lambda: kafka_bench.log.partitions == PARTITIONS)
        wanted = {kafka_bench.topic: NewPartitions(PARTITIONS + 2)}
        await kafka_bench.administer(lambda admin: admin.create_partitions(wanted))
        await until(lambda: kafka_bench.log.partitions == PARTITIONS + 2)
    finally:
        await kafka_bench.log.stop()


@pytest.mark.kafka
@pytest.mark.faults
@pytest.mark.slow
async def test_an_outage_shows_while_nobody_writes_and_ends_by_itself(prefix: str) -> None:
    with EmbeddedKafka() as broker:
        bench = KafkaBench(broker, f"{prefix}events")
        await bench.create()
        await bench.log.start()
        try:
            await until(lambda: bench.log.problem() is None)
            broker.kill()
            await until(lambda: "does not answer" in (bench.log.problem() or ""))
            append = asyncio.create_task(bench.log.append(0, b"x"))
            await asyncio.to_thread(broker.start)
            await until(lambda: bench.log.problem() is None)
            await append
            assert await bench.read(0) == [b"x"]
        finally:
            await bench.log.stop()


@pytest.mark.parametrize("customer", ["c1", "customer-000001", "Ærø", "", "😀" * 30])
def test_a_customer_has_the_partition_that_the_java_client_would_choose(customer: str) -> None:
    java = DefaultPartitioner()
    for partitions in (1, 3, 4, 100):
        everywhere = list(range(partitions))
        expected = java(customer.encode(), everywhere, everywhere)
        assert customer_partition(customer, partitions) == expected


def test_known_hashes_of_the_java_client() -> None:
    # Kafka's own UtilsTest.testMurmur2, cleared of the sign as its partitioner does.
    assert customer_partition("21", 2**31) == -973932308 & 0x7FFFFFFF
    assert customer_partition("foobar", 2**31) == -790332482 & 0x7FFFFFFF
    assert customer_partition("a-little-bit-long-string", 2**31) == -985981536 & 0x7FFFFFFF
