"""One partition at work: durable before it is acknowledged, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from services.scorer.memory import (
    MemoryModels,
    MemoryPartitionStore,
    MemorySourceLog,
    MemoryStateStore,
)
from services.scorer.ports import OwnershipLostError, PartitionStore, Restored
from services.scorer.worker import PartitionWorker
from shared import metrics, topics
from shared.domain.batch import Record
from shared.domain.emission import Effects
from shared.domain.partition import Partition
from shared.domain.policy import Policy
from shared.domain.position import Position
from tests.support.oracle import assert_same_outputs, assert_same_states, fold, scores, values
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    activation,
    boundaries,
    purchase,
    record,
    served,
    tick,
)
from tests.waiting import until

#: Records that are folded at once whether or not a transaction is under way.
FULL = 20


class Gate:
    """A store whose commits wait until they are let through, one by one or all."""

    def __init__(self, inner: PartitionStore) -> None:
        self.inner = inner
        self.waiting = 0
        self.committed: list[tuple[int, Position]] = []
        self.closed = False
        self.error: BaseException | None = None
        self._tickets = asyncio.Semaphore(0)

    def let(self, commits: int = 1) -> None:
        for _ in range(commits):
            self._tickets.release()

    async def restore(self) -> Restored:
        return await self.inner.restore()

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        self.waiting += 1
        await self._tickets.acquire()
        self.waiting -= 1
        if self.error:
            raise self.error
        await self.inner.commit(effects, position)
        self.committed.append((len(effects), position))

    async def close(self) -> None:
        self.closed = True
        await self.inner.close()


class Bench:
    """A worker over memory, and what became of it."""

    def __init__(self) -> None:
        self.stores = MemoryStateStore()
        self.failed: list[BaseException] = []
        self.acknowledged: list[int] = []
        self.models = MemoryModels()
        self.source = MemorySourceLog()

    async def start(self) -> PartitionWorker:
        self.gate = Gate(await self.stores.open(0))
        restored = await self.gate.restore()
        partition = Partition(0, lambda _: 0, Policy(), restored.table, restored.position)
        worker = PartitionWorker(
            partition,
            store=self.gate,
            models=self.models,
            source=self.source,
            policy=Policy(),
            fail=self.failed.append,
        )
        worker.start()
        return worker

    def acknowledge(self, offset: int) -> Callable[[], None]:
        return lambda: self.acknowledged.append(offset)

    async def submit(self, worker: PartitionWorker, records: Sequence[Record]) -> None:
        for one in records:
            await worker.submit(one, self.acknowledge(one.offset))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def log(count: int, start: int = 0, step: int = HOUR_MS) -> list[Record]:
    """Return records of one purchase each, and time that passes."""
    return [
        record(n, [purchase(f"c{n % 3}", T0 + n * step, 1.0, f"e{n}")], T0 + n * step)
        for n in range(start, start + count)
    ]


async def test_a_record_is_acknowledged_when_it_is_durable_and_not_before(bench: Bench) -> None:
    worker = await bench.start()
    await bench.submit(worker, log(1))
    await until(lambda: bench.gate.waiting)
    assert bench.acknowledged == []
    bench.gate.let()
    await until(lambda: bench.acknowledged)
    assert bench.acknowledged == [0]
    assert bench.gate.committed[-1][1] == worker.durable == worker.partition.position
    await worker.stop()


async def test_folding_runs_ahead_and_shares_the_next_transaction(bench: Bench) -> None:
    worker = await bench.start()
    await bench.submit(worker, log(1))
    await until(lambda: bench.gate.waiting)
    for start in (1, 1 + FULL):
        await bench.submit(worker, log(FULL, start=start))
        await until(lambda start=start: worker.partition.offset == start + FULL)
    assert bench.acknowledged == []
    bench.gate.let(2)
    await until(lambda: len(bench.acknowledged) == 1 + 2 * FULL)
    assert [effects for effects, _ in bench.gate.committed] == [1, 2]
    await worker.stop()


async def test_little_waits_for_the_transaction_and_is_folded_at_once_then(bench: Bench) -> None:
    worker = await bench.start()
    await bench.submit(worker, log(1))
    await until(lambda: bench.gate.waiting)
    for n in range(1, 4):
        await bench.submit(worker, log(1, start=n))
        await asyncio.sleep(0)
    bench.gate.let(2)
    await until(lambda: len(bench.acknowledged) == 4)
    assert [effects for effects, _ in bench.gate.committed] == [1, 1]
    assert worker.durable.offset == 4
    await worker.stop()


@pytest.mark.parametrize("of_all", [[tick(T0)], tick(T0), activation(T0, 9), boundaries(T0, 1)])
async def test_what_concerns_everybody_ends_a_fold(bench: Bench, of_all: Json | list[Json]) -> None:
    """Each may bring a review of all customers: a fold of many would hold all of them at once."""
    worker = await bench.start()
    await bench.submit(worker, log(1))
    await until(lambda: bench.gate.waiting)
    value = msgspec.json.encode(of_all)
    await bench.submit(worker, [Record(n, T0, value) for n in range(1, 4)])
    await until(lambda: worker.partition.offset == 4)
    bench.gate.let(2)
    await until(lambda: len(bench.acknowledged) == 4)
    assert [effects for effects, _ in bench.gate.committed] == [1, 3]
    await worker.stop()


async def test_records_wait_in_order_while_nothing_can_be_committed(bench: Bench) -> None:
    worker = await bench.start()
    submitting = asyncio.create_task(bench.submit(worker, log(10_000, step=1)))
    await until(lambda: worker.partition.offset)
    _, pending = await asyncio.wait([submitting], timeout=0.3)
    assert pending, "the queue has no bound"
    bench.gate.let(10_000)
    await submitting
    await until(lambda: len(bench.acknowledged) == 10_000)
    assert bench.acknowledged == list(range(10_000))
    await worker.stop()


async def test_what_the_state_covers_is_acknowledged_and_not_folded_again(bench: Bench) -> None:
    worker = await bench.start()
    bench.gate.let(99)
    await bench.submit(worker, log(5))
    await until(lambda: len(bench.acknowledged) == 5)
    await worker.stop()
    bench.acknowledged.clear()
    again = await bench.start()
    bench.gate.let(99)
    await bench.submit(again, log(7))
    await until(lambda: len(bench.acknowledged) == 7)
    assert again.durable.counts.accepted == 7
    assert_same_states(again.partition.table, fold(0, log(7)).partition.table)
    await again.stop()


async def test_stopping_commits_what_was_folded_and_leaves_the_rest(bench: Bench) -> None:
    worker = await bench.start()
    await bench.submit(worker, log(1))
    await until(lambda: bench.gate.waiting)
    await bench.submit(worker, log(FULL, start=1))
    await until(lambda: worker.partition.offset == 1 + FULL)
    await bench.submit(worker, log(1, start=1 + FULL))
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    await bench.submit(worker, log(1, start=2 + FULL))
    bench.gate.let(99)
    await stopping
    assert bench.gate.closed
    assert bench.acknowledged == list(range(1 + FULL))
    assert worker.durable.offset == 1 + FULL
    assert bench.failed == []


async def test_stopping_in_the_middle_of_a_commit_sees_it_out(bench: Bench) -> None:
    worker = await bench.start()
    await bench.submit(worker, log(1))
    await until(lambda: bench.gate.waiting)
    stopping = asyncio.create_task(worker.stop())
    _, pending = await asyncio.wait([stopping], timeout=0.05)
    assert pending
    assert not bench.gate.closed
    bench.gate.let()
    await stopping
    assert bench.acknowledged == [0]


async def test_stopping_frees_whoever_waits_for_a_place_in_the_queue(bench: Bench) -> None:
    worker = await bench.start()
    submitting = asyncio.create_task(bench.submit(worker, log(10_000, step=1)))
    await until(lambda: worker.partition.offset)
    _, pending = await asyncio.wait([submitting], timeout=0.3)
    assert pending
    bench.gate.let(10_000)
    await worker.stop()
    async with asyncio.timeout(5):
        await submitting
    assert bench.acknowledged == list(range(worker.durable.offset))


async def test_an_idle_worker_stops_at_once(bench: Bench) -> None:
    worker = await bench.start()
    async with asyncio.timeout(5):
        await worker.stop()
    assert bench.gate.closed
    assert bench.gate.committed == []


@pytest.mark.parametrize("error", [OwnershipLostError("another"), OSError("disk"), KeyError("bug")])
async def test_a_commit_that_fails_ends_the_process_and_acknowledges_nothing(
    bench: Bench, error: Exception
) -> None:
    worker = await bench.start()
    bench.gate.error = error
    bench.gate.let()
    await bench.submit(worker, log(3))
    await until(lambda: bench.failed)
    assert bench.failed == [error]
    assert bench.acknowledged == []
    async with asyncio.timeout(5):
        await worker.stop()
    assert bench.stores.logs[topics.CUSTOMER_STATE.name, 0] == []


async def test_a_fold_that_fails_ends_the_process_and_acknowledges_nothing(bench: Bench) -> None:
    class Broken(MemoryModels):
        async def get(self, version: int) -> None:
            raise ZeroDivisionError

    bench.models = Broken()
    worker = await bench.start()
    bench.gate.let(99)
    await bench.submit(worker, [record(0, [activation(T0, 1)], T0)])
    await until(lambda: bench.failed)
    assert isinstance(bench.failed[0], ZeroDivisionError)
    assert bench.acknowledged == []
    await worker.stop()


async def test_a_model_is_served_from_where_the_log_activates_it(bench: Bench) -> None:
    bench.models = MemoryModels(served(1), served(2))
    records = [*log(3), record(3, [activation(T0, 2)], T0 + 4 * HOUR_MS), *log(3, start=4)]
    records += [record(7, [tick(T0 + 40 * 24 * HOUR_MS)], T0 + 40 * 24 * HOUR_MS)]
    worker = await bench.start()
    bench.gate.let(99)
    await bench.submit(worker, records)
    await until(lambda: len(bench.acknowledged) == len(records))
    expected = fold(0, records, bench.models.served)
    assert {one.model for one in expected.scores} == {0, 2}
    found = bench.stores.logs[topics.CUSTOMER_SCORES.name, 0]
    assert_same_outputs(scores(values(found)), expected.scores)
    assert worker.durable.model == 2
    await worker.stop()


async def test_a_model_that_is_not_to_be_had_is_refused_and_the_last_one_serves(
    bench: Bench,
) -> None:
    bench.models = MemoryModels(served(1))
    records = [record(n, [activation(T0, 1 + n)], T0) for n in range(2)]
    worker = await bench.start()
    bench.gate.let(99)
    await bench.submit(worker, records)
    await until(lambda: len(bench.acknowledged) == 2)
    assert worker.partition.model.version == 1
    assert bench.failed == []
    await worker.stop()


async def test_what_another_owner_committed_meanwhile_is_not_overwritten(bench: Bench) -> None:
    paused = await bench.start()
    paused_gate = bench.gate
    await bench.submit(paused, log(2))
    await until(lambda: paused_gate.waiting)
    other = await bench.start()
    bench.gate.let(99)
    await bench.submit(other, log(4))
    await until(lambda: len(bench.acknowledged) == 4)
    before = list(bench.stores.logs[topics.CUSTOMER_STATE.name, 0])
    paused_gate.let(99)
    await until(lambda: bench.failed)
    assert isinstance(bench.failed[0], OwnershipLostError)
    assert bench.stores.logs[topics.CUSTOMER_STATE.name, 0] == before
    await paused.stop()
    await other.stop()


async def test_only_the_store_is_told_of_a_partition_that_was_given_up(bench: Bench) -> None:
    worker = await bench.start()
    assert isinstance(bench.gate.inner, MemoryPartitionStore)
    await worker.stop()
    assert not bench.stores.is_owner(0, bench.gate.inner)


async def test_what_the_stream_leaves_out_is_read_from_the_log(bench: Bench) -> None:
    records = log(401)
    bench.source.records[0] = records
    delivered = [one for one in records if one.offset % 3 or 20 < one.offset < 350]
    worker = await bench.start()
    bench.gate.let(9_999)
    before = metrics.SCORER_RECORDS_LEFT_OUT._value.get()
    await bench.submit(worker, delivered)
    await until(lambda: len(bench.acknowledged) == len(delivered))
    expected = fold(0, records)
    assert worker.durable == expected.position
    assert_same_states(worker.partition.table, expected.partition.table)
    found = scores(values(bench.stores.logs[topics.CUSTOMER_SCORES.name, 0]))
    assert_same_outputs(found, expected.scores)
    left_out = metrics.SCORER_RECORDS_LEFT_OUT._value.get() - before
    assert left_out == len(records) - len(delivered)
    await worker.stop()


async def test_a_gap_in_which_the_log_holds_nothing_is_passed_with_one_look(bench: Bench) -> None:
    records = [one for one in log(30) if one.offset not in {0, 7, 8, 20}]
    bench.source.records[0] = records
    worker = await bench.start()
    bench.gate.let(99)
    before = metrics.SCORER_RECORDS_LEFT_OUT._value.get()
    await bench.submit(worker, records)
    await until(lambda: len(bench.acknowledged) == len(records))
    assert worker.durable == fold(0, records).position
    assert metrics.SCORER_RECORDS_LEFT_OUT._value.get() == before
    assert bench.source.reads <= 3 * 2, "more than one look at each gap, and one behind it"
    await worker.stop()


async def test_records_without_gaps_are_taken_without_a_look_at_the_log(bench: Bench) -> None:
    bench.source.records[0] = records = log(100)
    worker = await bench.start()
    bench.gate.let(999)
    await bench.submit(worker, records)
    await until(lambda: len(bench.acknowledged) == 100)
    assert bench.source.reads == 0
    await worker.stop()


async def test_a_record_that_is_delivered_twice_in_a_row_is_folded_once(bench: Bench) -> None:
    records = log(3)
    worker = await bench.start()
    bench.gate.let(99)
    await bench.submit(worker, [*records, records[1], records[2], *log(1, start=3)])
    await until(lambda: len(bench.acknowledged) == 6)
    assert worker.durable == fold(0, log(4)).position
    await worker.stop()
