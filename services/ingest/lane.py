"""A lane: the one way to one partition, where requests queue in the order in which they came.

At most one record of a lane is under way. What arrives meanwhile waits and forms the next record,
so records grow with load and cannot overtake each other. When Kafka is away, the record under way
goes on trying (see `shared.adapters.event_log`), and what is behind it is dropped unsent once its
request was answered 503: a retry of it cannot arrive twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

import structlog

from services.ingest.refusal import RETRY_IS_SAFE, RefusedError
from shared import metrics
from shared.adapters.event_log import EventLog, EventLogError, Headers
from shared.adapters.tracing import Traced, traces_header

log = structlog.get_logger(__name__)

#: Records are not made larger than this, in bytes, though the log may take more: thousands of
#: events a record gain nothing, and readers hold a whole record in memory.
RECORD_BYTES: Final = 1_000_000


class Delivery:
    """What one request waits for: its chunks, in one or more partitions.

    Parameters
    ----------
    chunks
        How many of them there are.
    events
        How many events are in them.

    """

    def __init__(self, chunks: int, events: int) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = chunks
        self._events = events

    @property
    def over(self) -> bool:
        """Whether the request has its answer, or has given up waiting."""
        return self.outcome.done()

    def settle(self) -> None:
        """One chunk is in the log."""
        self._missing -= 1
        if not self._missing and not self.over:
            self.outcome.set_result(None)

    def fail(self, detail: str) -> None:
        """One chunk is not in the log, or nobody knows."""
        if not self.over:
            self.outcome.set_exception(unavailable(detail, self._events))


def unavailable(detail: str, events: int) -> RefusedError:
    """Return the refusal of a request that the log did not take, or not wholly."""
    return RefusedError("unavailable", detail, events=events, retry_after_s=1)


@dataclass(frozen=True)
class Chunk:
    """Events of one request for one partition.

    Attributes
    ----------
    payload
        The events, separated by commas.
    events
        How many they are.
    arrived
        The loop's time at which the request came.
    delivery
        Whom to tell what became of them.
    traceparent
        The trace of the request, if it is followed.

    """

    payload: bytes
    events: int
    arrived: float
    delivery: Delivery
    traceparent: str | None = None


def record_bytes(event_log: EventLog) -> int:
    """Return the size that records are kept below; only a larger single event exceeds it."""
    return min(RECORD_BYTES, event_log.max_record_bytes)


class Load:
    """What is waiting for Kafka, in events and bytes."""

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0

    def change(self, chunk: Chunk, sign: int) -> None:
        """Add a chunk, or take it away."""
        self.events += sign * chunk.events
        self.bytes += sign * len(chunk.payload)
        metrics.INGEST_PENDING.set(self.events)
        metrics.INGEST_PENDING_BYTES.set(self.bytes)


class Lane:
    """The queue of one partition.

    Parameters
    ----------
    event_log, partition
        Where records go.
    linger_s
        How long the first chunk of a record waits for company.
    load
        Counts what waits in all lanes.

    """

    def __init__(self, event_log: EventLog, partition: int, linger_s: float, load: Load) -> None:
        self._log = event_log
        self._partition = partition
        self._linger_s = linger_s
        self._load = load
        self._queue: deque[Chunk] = deque()
        self._filled = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sent_at: float | None = None
        self._task = asyncio.create_task(self._run(), name=f"lane-{partition}")

    def put(self, chunk: Chunk) -> None:
        """Queue a chunk behind all that came before."""
        self._load.change(chunk, +1)
        self._queue.append(chunk)
        self._filled.set()

    def drop_abandoned(self) -> None:
        """Let go of what nobody waits for any more; it is at the head, where the oldest are."""
        while self._queue and self._queue[0].delivery.over:
            self._load.change(self._queue.popleft(), -1)

    def stuck_s(self) -> float:
        """Return for how many seconds the record under way has not been acknowledged."""
        return 0.0 if self._sent_at is None else self._loop.time() - self._sent_at

    async def close(self) -> None:
        """End; what is still queued was answered, or is failed by its gatherer."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            await self._linger()
            if chunks := self._take():
                await self._publish(chunks)
            if not self._queue:
                self._filled.clear()

    async def _linger(self) -> None:
        if self._queue:
            await asyncio.sleep(self._queue[0].arrived + self._linger_s - self._loop.time())

    def _take(self) -> list[Chunk]:
        """Take the chunks of the next record: at least one, and as many as fit."""
        chunks: list[Chunk] = []
        room = record_bytes(self._log) - 1
        self.drop_abandoned()
        while self._queue and (not chunks or len(self._queue[0].payload) < room):
            chunks.append(self._queue.popleft())
            room -= len(chunks[-1].payload) + 1
            self.drop_abandoned()
        return chunks

    async def _publish(self, chunks: list[Chunk]) -> None:
        metrics.INGEST_RECORD_EVENTS.observe(sum(chunk.events for chunk in chunks))
        value = b"[" + b",".join([c.payload for c in chunks]) + b"]"
        failure = await self._append(value, traces_header(_traced(chunks)))
        for chunk in chunks:
            self._load.change(chunk, -1)
            if failure is None:
                chunk.delivery.settle()
            else:
                chunk.delivery.fail(failure)

    async def _append(self, value: bytes, headers: Headers) -> str | None:
        """Append a record; return why that failed, if it did."""
        self._sent_at = self._loop.time()
        try:
            with metrics.INGEST_PUBLISH_SECONDS.time():
                await self._log.append(self._partition, value, headers)
        except EventLogError as error:
            log.warning("publish failed", partition=self._partition, error=str(error))
            return f"{error} {RETRY_IS_SAFE}"
        except Exception:  # a lane that died would leave its requests without an answer
            log.exception("publish failed unexpectedly", partition=self._partition)
            return RETRY_IS_SAFE
        finally:
            self._sent_at = None
        return None


def _traced(chunks: list[Chunk]) -> list[Traced]:
    """Return which events of a record belong to requests that are followed."""
    traced, first = [], 0
    for chunk in chunks:
        if chunk.traceparent is not None:
            traced.append(Traced(first, chunk.events, chunk.traceparent))
        first += chunk.events
    return traced
