"""The log of events as its writers see it: a port, Kafka, and memory.

`EventLog.append` returns when all in-sync replicas have the record. How long that may take is the
caller's business: while the log is away the append goes on, and a caller that gave up waiting
knows that the record may still arrive. So whoever wants order keeps one append a partition under
way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from aiokafka.partitioner import murmur2

from shared.adapters.kafka_connection import connection, try_access
from shared.domain.errors import TenureError
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: What Kafka adds to a value in a batch of one record, generously.
_OVERHEAD: Final = 1024
#: Seconds between two attempts to connect, and between two looks at whether Kafka still answers.
_RETRY_S: Final = 1.0
_PROBE_S: Final = 5.0
#: Seconds that `stop` waits for records under way.
_STOP_S: Final = 5.0


class EventLogError(TenureError):
    """The log did not take a record, or nobody can know whether it did."""


class RecordTooLargeError(EventLogError):
    """A record over `EventLog.max_record_bytes`; the log is as it was."""


#: Headers of a record: name and value.
Headers = Sequence[tuple[str, bytes]]


class EventLog(Protocol):
    """A partitioned, append-only log."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; 0 while that is not known."""

    @property
    def max_record_bytes(self) -> int:
        """Largest value that `append` takes."""

    def problem(self) -> str | None:
        """Return why nothing can be appended now and what to do, or ``None``."""

    async def append(self, partition: int, value: bytes, headers: Headers = ()) -> int:
        """Append a record and return its offset once all in-sync replicas have it.

        Raises
        ------
        RecordTooLargeError
            The value is over `max_record_bytes`.
        EventLogError
            The record may or may not be in the log.
        ValueError
            There is no such partition.

        """

    async def start(self) -> None:
        """Begin to connect, and return at once: `problem` says how it goes."""

    async def stop(self) -> None:
        """Let go of the log; appends under way get a few seconds, then raise."""


@lru_cache(maxsize=200_000)
def customer_hash(customer: str) -> int:
    """Return the hash that the Java client's default partitioner takes of a key."""
    return int(murmur2(customer.encode())) & 0x7FFFFFFF


def customer_partition(customer: str, partitions: int) -> int:
    """Return the partition of a customer, as every Java producer would choose it."""
    return customer_hash(customer) % partitions


class MemoryEventLog:
    """A log in memory, for tests and for trying things out.

    Attributes
    ----------
    records, headers
        Values a partition, in order, and what stands in the headers of each.

    """

    def __init__(self, partitions: int = 4, max_record_bytes: int = 1_000_000) -> None:
        self.records: list[list[bytes]] = [[] for _ in range(partitions)]
        self.headers: list[list[list[tuple[str, bytes]]]] = [[] for _ in range(partitions)]
        self.max_record_bytes = max_record_bytes
        self._problem: str | None = "not started"
        self._answers = asyncio.Event()
        self._answers.set()
        self._refusal: EventLogError | None = None

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self.records)

    def problem(self) -> str | None:
        """Return why nothing can be appended, if so."""
        return self._problem

    async def append(self, partition: int, value: bytes, headers: Headers = ()) -> int:
        """Append a record; waits while the log is paused."""
        _check(partition, value, self)
        await self._answers.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._problem is not None:
            raise EventLogError(f"Nothing was written: {self._problem}.")
        self.records[partition].append(value)
        self.headers[partition].append(list(headers))
        return len(self.records[partition]) - 1

    async def start(self) -> None:
        """Take records from now on."""
        self._problem = None

    async def stop(self) -> None:
        """Refuse further records, and those under way."""
        self._problem = "stopped"
        self._answers.set()

    def pause(self) -> None:
        """Answer nothing until `resume`."""
        self._answers.clear()

    def resume(self) -> None:
        """Go on."""
        self._answers.set()

    def refuse(self, error: EventLogError | None) -> None:
        """Raise ``error`` from each append from now on; with ``None``, take records again."""
        self._refusal = error


class KafkaEventLog:
    """A topic of Kafka, behind an idempotent producer that waits for all in-sync replicas.

    Such a producer never gives a record up while Kafka is away: it repeats it until it is
    acknowledged, once and in order. When Kafka refuses a record for good, the producer's sequence
    has a hole and Kafka would refuse all that follows; it is then replaced by a new one.

    Parameters
    ----------
    settings
        How to connect.
    topic
        Name of the topic; it must exist.
    request_timeout_ms
        Time after which an unanswered request is sent again, over a new connection.

    """

    def __init__(self, settings: Settings, topic: str, *, request_timeout_ms: int = 10_000) -> None:
        self._settings = settings
        self._topic = topic
        self._request_timeout_ms = request_timeout_ms
        self.max_record_bytes = 0
        self._producer: AIOKafkaProducer | None = None
        self._problem: str | None = "not connected to Kafka yet"
        self._broken = asyncio.Event()
        self._abandoned: asyncio.Future[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._retired: dict[asyncio.Task[None], AIOKafkaProducer] = {}

    @property
    def partitions(self) -> int:
        """How many partitions the topic has; 0 while not connected."""
        if self._producer is None:
            return 0
        return len(self._producer.client.cluster.partitions_for_topic(self._topic) or ())

    def problem(self) -> str | None:
        """Return why nothing can be appended now, or ``None``."""
        return self._problem

    async def append(self, partition: int, value: bytes, headers: Headers = ()) -> int:
        """Append a record; see `EventLog.append`."""
        producer = self._producer
        if producer is None:
            raise EventLogError(f"Nothing was written: {self._problem}.")
        _check(partition, value, self)
        try:
            acknowledged = await producer.send(
                self._topic, value, partition=partition, headers=list(headers)
            )
            return await self._acknowledged(acknowledged)
        except KafkaError as error:
            self._give_up(producer, error)
            raise EventLogError(f"Kafka did not take a record: {error!r}.") from error

    async def start(self) -> None:
        """Begin to connect."""
        self._abandoned = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep_connected())

    async def stop(self) -> None:
        """Flush for a few seconds, then close all connections."""
        if self._keeper is None or self._abandoned is None or self._abandoned.done():
            return
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        producer, self._producer, self._problem = self._producer, None, "stopped"
        if producer is not None:
            self._retire(producer)
        if self._retired:
            await asyncio.wait(self._retired, timeout=_STOP_S)
        self._abandoned.set_result(None)
        for task, stuck in list(self._retired.items()):
            task.cancel()
            await _abandon(stuck)

    async def _acknowledged(self, acknowledged: asyncio.Future[Any]) -> int:
        """Wait for the acknowledgement, or for `stop` to lose its patience."""
        assert self._abandoned is not None  # noqa: S101  # there is a producer, so `start` ran
        await asyncio.wait((acknowledged, self._abandoned), return_when=asyncio.FIRST_COMPLETED)
        if not acknowledged.done():
            raise EventLogError("Stopped before Kafka acknowledged a record.")
        return int(acknowledged.result().offset)

    def _give_up(self, producer: AIOKafkaProducer, error: KafkaError) -> None:
        if producer is self._producer:
            log.warning("kafka did not take a record, replacing the producer", error=repr(error))
            self._producer, self._problem = None, f"reconnecting after {type(error).__name__}"
            self._retire(producer)
            self._broken.set()

    def _retire(self, producer: AIOKafkaProducer) -> None:
        """Close a producer once the records of other partitions that it still has are through."""
        task = asyncio.create_task(producer.stop())
        self._retired[task] = producer
        task.add_done_callback(self._retired.pop)

    async def _keep_connected(self) -> None:
        while True:
            self._broken.clear()
            self._producer = await self._connect_at_last()
            self._problem = None
            await self._watch(self._producer)

    async def _connect_at_last(self) -> AIOKafkaProducer:
        while True:
            try:
                return await self._connect()
            except (KafkaError, TenureError) as error:
                self._problem = str(error)
                await asyncio.sleep(_RETRY_S)

    async def _connect(self) -> AIOKafkaProducer:
        await try_access(self._settings)
        limit = await _largest_batch(self._settings, self._topic)
        producer = AIOKafkaProducer(
            **connection(self._settings),
            acks="all",
            enable_idempotence=True,
            max_request_size=limit,
            request_timeout_ms=self._request_timeout_ms,
        )
        try:
            await producer.start()
            await producer.partitions_for(self._topic)
        except BaseException:
            await producer.stop()
            raise
        self.max_record_bytes = limit - _OVERHEAD
        return producer

    async def _watch(self, producer: AIOKafkaProducer) -> None:
        """Look every few seconds whether Kafka answers, until the producer is given up.

        So an outage shows in ``/readyz`` also when nobody posts, and new partitions are noticed.
        """
        while not await _within(_PROBE_S, self._broken.wait()):
            answered = await _within(_PROBE_S, producer.client.force_metadata_update())
            if not self._broken.is_set():
                servers = self._settings.kafka_bootstrap_servers
                self._problem = None if answered else f"Kafka at {servers} does not answer"


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer without its records, for which aiokafka has no public way."""
    sender = producer._sender.sender_task  # noqa: SLF001
    sender.cancel()
    await producer.client.close()
    await asyncio.wait({sender}, timeout=1)


async def _within(seconds: float, awaitable: Awaitable[bool]) -> bool:
    # Not `wait_for`: before Python 3.12 it loses a cancellation that comes with the result.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await awaitable
    return False


async def _largest_batch(settings: Settings, topic: str) -> int:
    """Return the topic's ``max.message.bytes``, without creating the topic by asking for it."""
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        if topic not in await admin.list_topics():
            raise EventLogError(f"Kafka has no topic {topic}: create it with `tenure topics`")
        wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": None})
        (response,) = await admin.describe_configs([wanted])
    finally:
        await admin.close()
    error_code, _, _, _, entries = response.resources[0][:5]
    if error_code:
        raise EventLogError(f"Kafka hides the settings of {topic}: {for_code(error_code).__name__}")
    return int(entries[0][1])


def _check(partition: int, value: bytes, log: EventLog) -> None:
    if not 0 <= partition < log.partitions:
        raise ValueError(f"there is no partition {partition}, there are {log.partitions}")
    if len(value) > log.max_record_bytes:
        raise RecordTooLargeError(
            f"A record of {len(value)} bytes; the log takes {log.max_record_bytes}."
        )
