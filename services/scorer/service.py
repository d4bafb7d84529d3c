"""The scorer: owns some partitions, keeps their customers' state live, and moves their time.

Free of transport: `services.scorer.stream` feeds it records, ports give it state and models.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog

from services.scorer.ports import Models, PartitionStore, SourceLog, StateStore, Ticks
from services.scorer.worker import Acknowledge, PartitionWorker
from shared import metrics, topics
from shared.adapters.tracing import NO_TRACES, Traces
from shared.domain.batch import Record
from shared.domain.errors import TenureError
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, SLOT_MS, Policy
from shared.domain.scoring import cold_model

log = structlog.get_logger(__name__)

#: A partition whose time is further behind is being replayed, or was down: its log may go on any
#: moment with what came before now, so a tick waits longer.
_HISTORY_MS: Final = 3_600_000
_HISTORY_PATIENCE_S: Final = 300.0
_TICK_CHECK_S: Final = 1.0


class ReleasedError(TenureError):
    """The partitions that were to be opened belong to another scorer by now."""


class LogCutError(TenureError):
    """The log ends before the place up to where the state stands."""


class Scorer:
    """Scores the partitions that are assigned to this process.

    Parameters
    ----------
    store, models, source, ticks
        Ports.
    owner
        Tells the partition of a customer id.
    policy
        Horizons and thresholds.
    tick_after_s
        Silence of a partition after which its time is moved.
    fail
        Ends the process; called with an error that it cannot go on after.
    wall_ms, monotonic
        Clocks, for ticks alone: epoch milliseconds, and seconds that never jump.

    """

    def __init__(
        self,
        *,
        store: StateStore,
        models: Models,
        source: SourceLog,
        ticks: Ticks,
        owner: Callable[[str], int],
        policy: Policy,
        tick_after_s: float,
        fail: Callable[[BaseException], None],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._store = store
        self._models = models
        self._source = source
        self._ticks = ticks
        self._owner = owner
        self._policy = policy
        self._tick_after_s = tick_after_s
        self._fail = fail
        self._wall_ms = wall_ms
        self._monotonic = monotonic
        self._traces = traces
        self._assigning = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._heard: dict[int, float] = {}
        self.workers: dict[int, PartitionWorker] = {}

    async def assign(self, partitions: set[int]) -> dict[int, int]:
        """Own exactly these partitions; return the offset from which to feed each.

        What was owned before is given up first: after a rebalance another worker may have written,
        and only the changelog knows.

        Raises
        ------
        ReleasedError
            `release` was called meanwhile, and nothing is owned.

        """
        async with self._assigning:
            await self._stop()
            self._opening = asyncio.create_task(self._open_all(partitions))
            try:
                await self._opened(self._opening)
            finally:
                self._opening = None
            return {number: worker.partition.offset for number, worker in self.workers.items()}

    async def release(self) -> None:
        """Own nothing; what was folded is committed, what is being restored is let go."""
        if self._opening is not None:
            self._opening.cancel()
        async with self._assigning:
            await self._stop()

    async def submit(self, partition: int, record: Record, acknowledge: Acknowledge) -> None:
        """Take a record; one of a partition that is not owned (any more) is left to its owner."""
        worker = self.workers.get(partition)
        if worker is not None:
            self._heard[partition] = self._monotonic()
            await worker.submit(record, acknowledge)

    async def tick_forever(self) -> None:
        """Move the time of partitions that have been silent."""
        while True:
            await asyncio.sleep(_TICK_CHECK_S)
            await self.tick_silent()

    async def tick_silent(self) -> None:
        """Tick each partition that has been silent for long enough, once for each silence.

        Days go by one by one: what a tick brings is folded at once, and so is in memory at once.
        """
        for number, worker in list(self.workers.items()):
            if self._is_silent(number, worker):
                self._heard[number] = self._monotonic()
                now, wall = worker.partition.now, self._wall_ms()
                for at in (*range(now + DAY_MS, wall, DAY_MS), wall):
                    await self._ticks.tick(number, at)

    def status(self) -> dict[str, Any]:
        """Return what this scorer owns, for people and for tests."""
        return {
            "partitions": {
                str(number): _describe(worker) for number, worker in sorted(self.workers.items())
            }
        }

    def _is_silent(self, number: int, worker: PartitionWorker) -> bool:
        """Tell whether time stands still; one of no customer's events has none to move."""
        now = worker.partition.now
        behind = self._wall_ms() - now > _HISTORY_MS
        patience = _HISTORY_PATIENCE_S if behind else self._tick_after_s
        return now >= SLOT_MS and self._monotonic() - self._heard[number] > patience

    async def _opened(self, opening: asyncio.Task[None]) -> None:
        """Wait until all partitions are open, or until one cannot be."""
        try:
            await opening
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # we are in one
                raise
            raise ReleasedError("the partitions were taken away while they were restored") from None
        except BaseException as error:
            self._fail(error)
            raise

    async def _open_all(self, partitions: set[int]) -> None:
        async with asyncio.TaskGroup() as group:
            for partition in sorted(partitions):
                group.create_task(self._open(partition))

    async def _open(self, number: int) -> None:
        store = await self._store.open(number)
        try:
            partition = await self._restored(number, store)
        except BaseException:
            await store.close()
            raise
        worker = PartitionWorker(
            partition,
            store=store,
            models=self._models,
            source=self._source,
            policy=self._policy,
            fail=self._fail,
            traces=self._traces,
        )
        self.workers[number], self._heard[number] = worker, self._monotonic()
        worker.start()

    async def _restored(self, number: int, store: PartitionStore) -> Partition:
        restored = await store.restore()
        position = restored.position
        first = await self._require_reachable(number, position.offset)
        model = await self._models.at_most(position.model) or cold_model(self._policy.horizon_days)
        if model.version != position.model:
            log.error("model refused", version=position.model, serving=model.version)
            metrics.SCORER_MODELS_REFUSED.inc()
        metrics.SCORER_RESTORED_RECORDS.inc(restored.records)
        metrics.SCORER_RESTORE_SECONDS.observe(restored.seconds)
        log.info(
            "partition restored", partition=number, offset=position.offset,
            customers=len(restored.table), records=restored.records,
            seconds=round(restored.seconds, 3), model=position.model,
        )  # fmt: skip
        # What the log still holds is met again in its place; what it lost must be known from here.
        stands = max(first, position.offset)
        erased = {one.name for one in restored.erased if one.holds(number, stands)}
        return Partition(
            number, self._owner, self._policy, restored.table, position, model, erased=erased
        )

    async def _require_reachable(self, number: int, offset: int) -> int:
        """Refuse a log that ends before the state; tell of what aged out before it was read.

        Returns
        -------
        The first offset that the log holds.

        """
        held = await self._source.bounds(number)
        if offset > held.end:
            raise LogCutError(
                f"partition {number} of {topics.CUSTOMER_EVENTS.name} ends at {held.end}, but its "
                f"state has read up to {offset}: the topic was made anew or was cut, or the state "
                "belongs to another one. Bring the log back, or give the deployment new topics "
                "(another TENURE_TOPIC_PREFIX) and replay the events into them (`tenure replay`)"
            )
        if 0 < offset < held.first:
            missed = held.first - offset
            log.error("records aged out before they were read", partition=number, offsets=missed)
            metrics.SCORER_RECORDS_AGED_OUT.inc(missed)
        return held.first

    async def _stop(self) -> None:
        stopping, self.workers = list(self.workers.values()), {}
        await asyncio.gather(*(worker.stop() for worker in stopping))


def _describe(worker: PartitionWorker) -> dict[str, Any]:
    partition, durable = worker.partition, worker.durable
    counts = {name: getattr(durable.counts, name) for name in durable.counts.__struct_fields__}
    return {
        "offset": durable.offset,
        "now": durable.now,
        "model": durable.model,
        "serving": msgspec.to_builtins(durable.serving),
        "customers": len(partition.table),
        "counts": counts,
        "stages": partition.stages(),
        "segments": partition.segments(),
        "boundaries": msgspec.to_builtins(durable.boundaries),
        "thresholds": msgspec.to_builtins(durable.thresholds),
    }
