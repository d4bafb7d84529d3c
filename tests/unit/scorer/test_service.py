"""Which partitions a scorer owns, and when it moves their time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.scorer.memory import (
    MemoryModels,
    MemoryPartitionStore,
    MemorySourceLog,
    MemoryStateStore,
    MemoryTicks,
)
from services.scorer.ports import Restored
from services.scorer.service import LogCutError, ReleasedError, Scorer
from shared import metrics, topics
from shared.domain.batch import Record
from shared.domain.emission import Effects
from shared.domain.policy import Policy
from shared.domain.position import Position
from shared.domain.rfm import Boundaries
from shared.domain.scoring import Served
from shared.schemas.control_events import boundaries_event
from tests.unit.domain.histories import HOUR_MS, T0, activation, purchase, record, served
from tests.waiting import until

TICK_AFTER_S = 10.0


class Clocks:
    """A wall clock and a stopwatch that the test turns."""

    def __init__(self) -> None:
        self.wall_ms = T0
        self.monotonic_s = 1_000.0

    def pass_seconds(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)
        self.monotonic_s += seconds


class SlowStores(MemoryStateStore):
    """Stores whose restore waits for `go`, and which remember who was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.restoring: set[int] = set()
        self.opened = 0
        self.closed = 0
        self.error: dict[int, Exception] = {}

    async def open(self, partition: int) -> MemoryPartitionStore:
        self.opened += 1
        return SlowStore(self, partition)


class SlowStore(MemoryPartitionStore):
    async def restore(self) -> Restored:
        stores = self._store
        assert isinstance(stores, SlowStores)
        stores.restoring.add(self._partition)
        if self._partition in stores.error:
            raise stores.error[self._partition]
        await stores.go.wait()
        return await super().restore()

    async def close(self) -> None:
        assert isinstance(self._store, SlowStores)
        self._store.closed += 1
        await super().close()


class Bench:
    def __init__(
        self, stores: MemoryStateStore | None = None, models: Sequence[Served] = ()
    ) -> None:
        self.stores = stores or MemoryStateStore()
        self.ticks = MemoryTicks()
        self.source = MemorySourceLog()
        self.clocks = Clocks()
        self.failed: list[BaseException] = []
        self.scorer = Scorer(
            store=self.stores,
            models=MemoryModels(*models),
            source=self.source,
            ticks=self.ticks,
            owner=lambda _: 0,
            policy=Policy(),
            tick_after_s=TICK_AFTER_S,
            fail=self.failed.append,
            wall_ms=lambda: self.clocks.wall_ms,
            monotonic=lambda: self.clocks.monotonic_s,
        )

    async def feed(self, offset: int, at: int, partition: int = 0) -> None:
        """Submit a purchase, and wait until it is durable."""
        durable = asyncio.Event()
        one = record(offset, [purchase("c", at, name=f"e{offset}")], at)
        self.source.records[partition].append(one)
        await self.scorer.submit(partition, one, durable.set)
        await durable.wait()


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_scorer_owns_what_it_is_assigned_and_reads_on_behind_its_state(
    bench: Bench,
) -> None:
    assert await bench.scorer.assign({0, 1}) == {0: 0, 1: 0}
    await bench.feed(4, T0)
    assert await bench.scorer.assign({0, 2}) == {0: 5, 2: 0}
    assert set(bench.scorer.workers) == {0, 2}
    await bench.scorer.release()
    assert bench.scorer.workers == {}
    assert await bench.scorer.assign({0}) == {0: 5}
    await bench.scorer.release()


async def test_a_record_of_a_partition_that_is_not_owned_is_left_alone(bench: Bench) -> None:
    await bench.scorer.assign({0})
    acknowledged: list[int] = []
    one = record(0, [purchase("c", T0)], T0)
    await bench.scorer.submit(1, one, lambda: acknowledged.append(1))
    await bench.scorer.release()
    await bench.scorer.submit(0, one, lambda: acknowledged.append(0))
    assert acknowledged == []
    assert await bench.scorer.assign({0, 1}) == {0: 0, 1: 0}
    await bench.scorer.release()


async def test_what_is_taken_away_while_it_is_restored_is_let_go_at_once() -> None:
    stores = SlowStores()
    bench = Bench(stores)
    assigning = asyncio.create_task(bench.scorer.assign({0, 1}))
    await until(lambda: stores.restoring == {0, 1})
    async with asyncio.timeout(5):
        await bench.scorer.release()
        with pytest.raises(ReleasedError):
            await assigning
    assert bench.scorer.workers == {}
    assert stores.opened == stores.closed == 2
    assert bench.failed == []
    stores.go.set()
    assert await bench.scorer.assign({0, 1}) == {0: 0, 1: 0}
    await bench.scorer.release()


async def test_a_second_assignment_waits_for_the_first_and_replaces_it() -> None:
    stores = SlowStores()
    bench = Bench(stores)
    first = asyncio.create_task(bench.scorer.assign({0}))
    await until(lambda: stores.restoring)
    second = asyncio.create_task(bench.scorer.assign({1}))
    stores.go.set()
    assert await first == {0: 0}
    assert await second == {1: 0}
    assert set(bench.scorer.workers) == {1}
    await bench.scorer.release()
    assert stores.opened == stores.closed == 2


async def test_an_assignment_that_is_cancelled_closes_what_it_opened() -> None:
    stores = SlowStores()
    bench = Bench(stores)
    assigning = asyncio.create_task(bench.scorer.assign({0, 1, 2}))
    await until(lambda: stores.restoring == {0, 1, 2})
    assigning.cancel()
    await asyncio.wait([assigning])
    assert assigning.cancelled()
    assert stores.opened == stores.closed == 3
    assert bench.failed == []


async def test_a_partition_that_cannot_be_restored_ends_the_process() -> None:
    stores = SlowStores()
    stores.error[1] = OSError("unreadable")
    bench = Bench(stores)
    with pytest.raises(ExceptionGroup):
        await bench.scorer.assign({0, 1})
    (group,) = bench.failed
    assert isinstance(group, ExceptionGroup)
    assert group.exceptions == (stores.error[1],)
    assert stores.opened == stores.closed == 2


async def test_a_model_that_is_gone_is_replaced_by_the_newest_before_it() -> None:
    bench = Bench(models=[served(2), served(4)])
    await bench.scorer.assign({0})
    durable = asyncio.Event()
    await bench.scorer.submit(0, record(0, [activation(T0, 4)], T0), durable.set)
    await durable.wait()
    await bench.scorer.release()
    later = Bench(bench.stores, models=[served(2)])
    later.source.ends[0] = 1
    await later.scorer.assign({0})
    assert later.scorer.workers[0].partition.model.version == 2
    await later.scorer.release()


async def test_a_silent_partition_is_ticked_once_for_each_silence(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    bench.clocks.pass_seconds(TICK_AFTER_S)
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == []
    bench.clocks.pass_seconds(0.001)
    await bench.scorer.tick_silent()
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == [(0, bench.clocks.wall_ms)]
    bench.clocks.pass_seconds(TICK_AFTER_S + 1)
    await bench.scorer.tick_silent()
    assert len(bench.ticks.sent) == 2
    await bench.scorer.release()


async def test_a_record_ends_the_silence(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    bench.clocks.pass_seconds(TICK_AFTER_S - 1)
    await bench.feed(1, bench.clocks.wall_ms)
    bench.clocks.pass_seconds(TICK_AFTER_S - 1)
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == []
    await bench.scorer.release()


async def test_a_partition_that_nobody_wrote_to_is_never_ticked(bench: Bench) -> None:
    await bench.scorer.assign({0})
    bench.clocks.pass_seconds(10 * 24 * 3600)
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == []
    await bench.scorer.release()


async def test_a_partition_that_heard_a_control_event_alone_has_no_time_yet(bench: Bench) -> None:
    """To move it would make late what is replayed into it, and would hold the trainer back."""
    await bench.scorer.assign({0})
    durable = asyncio.Event()
    told = Record(0, T0, boundaries_event(Boundaries(version=1), "tests"))
    bench.source.records[0].append(told)
    await bench.scorer.submit(0, told, durable.set)
    await durable.wait()
    assert not bench.stores.logs[topics.TRAINING_EXAMPLES.name, 0]  # no watermark
    bench.clocks.pass_seconds(10 * 24 * 3600)
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == []
    await bench.scorer.release()


async def test_history_that_is_replayed_is_not_ticked_for_five_minutes(bench: Bench) -> None:
    await bench.scorer.assign({0})
    bench.clocks.wall_ms = T0 + 100 * 24 * HOUR_MS
    await bench.feed(0, T0)
    bench.clocks.pass_seconds(300)
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == []
    bench.clocks.pass_seconds(1)
    await bench.scorer.tick_silent()
    # Day by day: what one tick brings is folded, and in memory, at once.
    days = [(0, T0 + day * 24 * HOUR_MS) for day in range(1, 101)]
    assert bench.ticks.sent == [*days, (0, bench.clocks.wall_ms)]
    await bench.scorer.release()


async def test_only_owned_partitions_are_ticked(bench: Bench) -> None:
    await bench.scorer.assign({0, 1})
    await bench.feed(0, T0)
    await bench.feed(0, T0, partition=1)
    await bench.scorer.assign({1})
    bench.clocks.pass_seconds(TICK_AFTER_S + 1)
    await bench.scorer.tick_silent()
    assert [number for number, _ in bench.ticks.sent] == [1]
    await bench.scorer.release()
    bench.clocks.pass_seconds(TICK_AFTER_S + 1)
    await bench.scorer.tick_silent()
    assert len(bench.ticks.sent) == 1


async def test_a_new_owner_waits_for_a_silence_of_its_own(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    bench.clocks.pass_seconds(TICK_AFTER_S + 1)
    await bench.scorer.assign({0})
    await bench.scorer.tick_silent()
    assert bench.ticks.sent == []
    await bench.scorer.release()


async def test_the_status_counts_what_is_durable(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    status = bench.scorer.status()["partitions"]["0"]
    assert status["offset"] == 1
    assert status["counts"]["applied"] == 1
    assert status["customers"] == 1
    assert status["stages"]["onboarding"] == 1
    await bench.scorer.release()


class _Uncommittable(MemoryStateStore):
    async def open(self, partition: int) -> MemoryPartitionStore:
        return _NeverCommits(self, partition)


class _NeverCommits(MemoryPartitionStore):
    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        await asyncio.Event().wait()


async def test_the_status_does_not_count_what_is_only_folded() -> None:
    bench = Bench(_Uncommittable())
    await bench.scorer.assign({0})
    await bench.scorer.submit(0, record(0, [purchase("c", T0)], T0), lambda: None)
    await until(lambda: bench.scorer.workers[0].partition.offset == 1)
    assert bench.scorer.status()["partitions"]["0"]["offset"] == 0


async def test_a_log_that_ends_before_its_state_is_refused(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    await bench.feed(1, T0)
    await bench.scorer.release()
    bench.source.ends[0] = 1
    with pytest.raises(ExceptionGroup) as caught:
        await bench.scorer.assign({0})
    (error,) = caught.value.exceptions
    assert isinstance(error, LogCutError)
    assert "partition 0 of customer-events ends at 1" in str(error)
    assert "read up to 2" in str(error)
    assert "TENURE_TOPIC_PREFIX" in str(error)
    assert bench.failed == [caught.value]
    assert bench.scorer.workers == {}


async def test_a_log_whose_state_stands_at_its_end_goes_on(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    bench.source.records[0], bench.source.ends[0] = [], 1  # all of it aged out since
    assert await bench.scorer.assign({0}) == {0: 1}
    await bench.scorer.release()


async def test_records_that_aged_out_before_they_were_read_are_counted(bench: Bench) -> None:
    await bench.scorer.assign({0})
    await bench.feed(0, T0)
    bench.source.records[0] = [record(41, [purchase("c", T0)], T0)]
    before = metrics.SCORER_RECORDS_AGED_OUT._value.get()
    assert await bench.scorer.assign({0, 1}) == {0: 1, 1: 0}
    assert metrics.SCORER_RECORDS_AGED_OUT._value.get() == before + 40
    await bench.scorer.release()


async def test_a_new_deployment_on_an_old_log_has_missed_nothing(bench: Bench) -> None:
    bench.source.records[0] = [record(41, [purchase("c", T0)], T0)]
    before = metrics.SCORER_RECORDS_AGED_OUT._value.get()
    await bench.scorer.assign({0})
    assert metrics.SCORER_RECORDS_AGED_OUT._value.get() == before
    await bench.scorer.release()
