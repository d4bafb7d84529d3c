"""A scorer that kills itself at a place: ``python -m tests.faults.doomed_scorer PLACE NTH``.

Its store is the real one, with a failpoint before and after each step.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from services.scorer.bootstrap import run
from services.scorer.ports import PartitionStore, Restored
from services.scorer.records import Write
from services.scorer.state_store import KafkaPartitionStore
from shared import logs, topics
from shared.domain.emission import Effects
from shared.domain.position import Position
from shared.settings import Settings, load_settings

_WRITTEN = (
    topics.CUSTOMER_STATE,
    topics.CUSTOMER_SCORES,
    topics.SCORE_HISTORY,
    topics.LIFECYCLE_TRANSITIONS,
    topics.TRAINING_EXAMPLES,
    topics.DEAD_LETTER,
    topics.CUSTOMER_EVENTS,
)
#: Every step from a record to its acknowledgement, in order.
PLACES = [
    "fenced", "restored", "folded", *(f"sent {topic.name}" for topic in _WRITTEN),
    "ending", "ended", "committed",
]  # fmt: skip
#: Those that differ most, for every day.
FEW_PLACES = [
    "restored",
    "folded",
    "sent customer-state",
    "sent customer-events",
    "ending",
    "ended",
]


class Failpoints:
    """Kills the process when it passes a place for the n-th time."""

    def __init__(self, place: str, nth: int) -> None:
        self._place = place
        self._left = nth

    def pass_(self, place: str) -> None:
        if place == self._place:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


class DoomedStore:
    """The real store with failpoints."""

    def __init__(self, settings: Settings, failpoints: Failpoints) -> None:
        self._settings = settings
        self._failpoints = failpoints

    async def open(self, partition: int) -> PartitionStore:
        return _DoomedPartitionStore(self._settings, partition, self._failpoints)


class _DoomedPartitionStore(KafkaPartitionStore):
    def __init__(self, settings: Settings, partition: int, failpoints: Failpoints) -> None:
        super().__init__(settings, partition)
        self._pass = failpoints.pass_

    async def restore(self) -> Restored:
        found = await super().restore()
        self._pass("restored")
        return found

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        self._pass("folded")
        await super().commit(effects, position)
        self._pass("committed")

    async def _fence(self) -> None:
        await super()._fence()
        assert self._producer
        end = self._producer.commit_transaction

        async def commit_transaction() -> None:
            self._pass("ending")
            await end()
            self._pass("ended")

        self._producer.commit_transaction = commit_transaction
        self._pass("fenced")

    async def _send(self, producer: AIOKafkaProducer, write: Write) -> None:
        await super()._send(producer, write)
        if write.entries:
            self._pass(f"sent {write.topic.name}")


def main() -> None:
    settings = load_settings()
    logs.configure("scorer")
    asyncio.run(
        run(settings, store=DoomedStore(settings, Failpoints(sys.argv[1], int(sys.argv[2]))))
    )


if __name__ == "__main__":
    main()
