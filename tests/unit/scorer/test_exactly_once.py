"""Killed at any await, and fed with gaps: what is durable is that of one undisturbed run."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from services.scorer.memory import MemoryModels, MemorySourceLog, MemoryStateStore
from services.scorer.worker import PartitionWorker
from shared import topics
from shared.domain.batch import Record
from shared.domain.partition import Partition
from shared.domain.policy import Policy
from shared.domain.scoring import cold_model
from tests.support.histories import MODELS, history, owner
from tests.support.oracle import (
    Expected,
    assert_same_outputs,
    assert_same_states,
    fold,
    scores,
    trainings,
    transitions,
    values,
)


class Life:
    """One life of a worker: it restores, is fed from where it stands, and is killed.

    Whoever feeds it leaves records out now and then, though not the last.
    """

    def __init__(self, stores: MemoryStateStore, records: list[Record], random: Random) -> None:
        self._stores = stores
        self._random = random
        self._records = records
        self._source = MemorySourceLog()
        self._source.records[0] = records
        self.acknowledged: list[int] = []
        self.failed: list[BaseException] = []

    async def live(self, awaits: int | None) -> bool:
        """Feed the worker; return whether the log is done. ``awaits`` is when it is killed."""
        worker = await self._restored()
        position = worker.durable
        feeding = asyncio.create_task(self._feed(worker, position.offset))
        turns = 0
        while awaits is None or turns < awaits:
            turns += 1
            await asyncio.sleep(0)
            if feeding.done() and worker.durable.offset == self._records[-1].offset + 1:
                break
        feeding.cancel()
        for task in worker._tasks:  # no `stop`: nobody stops a process that is killed
            task.cancel()
        await asyncio.gather(feeding, *worker._tasks, return_exceptions=True)
        return worker.durable.offset == self._records[-1].offset + 1

    async def _restored(self) -> PartitionWorker:
        store = await self._stores.open(0)
        restored = await store.restore()
        models = MemoryModels(*MODELS.values())
        model = await models.at_most(restored.position.model) or cold_model()
        partition = Partition(0, owner, Policy(), restored.table, restored.position, model)
        worker = PartitionWorker(
            partition,
            store=store,
            models=models,
            source=self._source,
            policy=Policy(),
            fail=self.failed.append,
        )
        worker.start()
        return worker

    async def _feed(self, worker: PartitionWorker, offset: int) -> None:
        for one in self._records:
            left_out = one is not self._records[-1] and not self._random.randrange(8)
            if one.offset >= offset and not left_out:
                await worker.submit(one, lambda one=one: self.acknowledged.append(one.offset))
                for _ in range(self._random.randrange(3)):
                    await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(12))
async def test_killed_at_any_await_everything_is_there_once(seed: int) -> None:
    random = Random(seed)
    records = history(random)
    stores = MemoryStateStore()
    lives = 0
    done = False
    while not done:
        life = Life(stores, records, random)
        done = await life.live(random.randrange(1, 12) if lives < 200 else None)
        lives += 1
        assert life.failed == []
        await assert_acknowledged_is_durable(stores, life)
    assert lives > 5, "nothing was killed"
    expected = fold(0, records, MODELS, owner=owner)
    store = await stores.open(0)
    restored = await store.restore()
    assert_same_states(restored.table, expected.partition.table)
    assert restored.position == expected.position
    assert_outputs_are(stores, expected)


async def assert_acknowledged_is_durable(stores: MemoryStateStore, life: Life) -> None:
    store = await stores.open(0)
    position = (await store.restore()).position
    assert max(life.acknowledged, default=-1) < position.offset


def assert_outputs_are(stores: MemoryStateStore, expected: Expected) -> None:
    def found(topic: topics.Topic, partition: int = 0) -> list[bytes]:
        return values(stores.logs[topic.name, partition])

    assert_same_outputs(scores(found(topics.CUSTOMER_SCORES)), expected.scores)
    assert_same_outputs(scores(found(topics.SCORE_HISTORY)), expected.scores)
    assert_same_outputs(transitions(found(topics.LIFECYCLE_TRANSITIONS)), expected.transitions)
    examples = [one for each in trainings(found(topics.TRAINING_EXAMPLES)) for one in each.examples]
    assert_same_outputs(examples, expected.examples)
    assert found(topics.DEAD_LETTER) == [letter.value for letter in expected.letters]
    assert found(topics.CUSTOMER_EVENTS, 1) == [one.value for one in expected.misplaced]
