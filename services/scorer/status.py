"""How a scorer is doing: readiness, the ``/status`` page, and the watch over progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

import faust
from faust.types import TP

from services.scorer import gauges
from services.scorer.service import Scorer
from services.scorer.trainer import Trainer
from shared import topics
from shared.adapters.kafka_connection import KafkaAccessError, try_access
from shared.domain.errors import TenureError
from shared.settings import Settings

_REFRESH_S: Final = 2.0
#: Between two looks whether Kafka answers.
_KNOCK_S: Final = 5.0
#: Lag without progress for so long means that the stream hangs: facts about Faust are in
#: ARCHITECTURE.md.
_STALLED_S: Final = 60.0


class StalledError(TenureError):
    """There are records to read and none is being processed."""


class Status:
    """Looks at a running scorer from outside.

    Attributes
    ----------
    outage
        Why Kafka cannot be reached now, for readiness; ``None`` when it can.

    """

    def __init__(
        self, app: faust.App, scorer: Scorer, trainer: Trainer, settings: Settings
    ) -> None:
        self._app = app
        self._scorer = scorer
        self._trainer = trainer
        self._settings = settings
        self.outage: str | None = None
        self._topic = settings.topic(topics.CUSTOMER_EVENTS.name)

    def unready(self) -> str | None:
        """Say why the scorer is not ready: it is once its assignment is restored."""
        mine = {tp.partition for tp in self._assignment()} if self._app.started else set()
        # Faust does not call itself unassigned before its first assignment: then it has nothing.
        if self._app.rebalancing or self._app.unassigned or not mine:
            return "waiting for an assignment of partitions"
        if mine != set(self._scorer.workers):
            return "restoring state"
        return None

    def page(self) -> dict[str, Any]:
        """Return what ``/status`` shows."""
        return {**self._scorer.status(), "lag": self.lag(), "model": self._trainer.report()}

    def lag(self) -> int:
        """Return how many records of the assigned partitions are not durable in the state."""
        workers = self._scorer.workers.items()
        return sum(self._behind(number, worker.durable.offset) for number, worker in workers)

    def committed_lag(self) -> int:
        """Return the same by Faust's commits, as tools that ask Kafka see it."""
        # Faust tells it nowhere else.
        committed = cast("Any", self._app.consumer)._committed_offset  # noqa: SLF001
        return sum(
            self._behind(number, committed.get(TP(self._topic, number)) or 0)
            for number in self._scorer.workers
        )

    async def knock_forever(self) -> None:
        """Look whether Kafka answers: who has nothing to write would not notice otherwise."""
        while True:
            try:
                await try_access(self._settings)
                self.outage = None
            except KafkaAccessError as error:
                self.outage = str(error)
            await asyncio.sleep(_KNOCK_S)

    async def watch_forever(self, fail: Callable[[BaseException], None]) -> None:
        """Refresh the gauges, and end the process when the stream hangs."""
        seen, since = self._progress(), time.monotonic()
        while True:
            await asyncio.sleep(_REFRESH_S)
            gauges.refresh(self._scorer, self._trainer, self.lag(), self.committed_lag())
            progress = self._progress()
            # The last record of a log may be a transaction's marker, which is never delivered.
            idle = self.lag() <= len(self._scorer.workers) or self._app.rebalancing
            if progress != seen or idle:
                seen, since = progress, time.monotonic()
            elif time.monotonic() - since > _STALLED_S:
                fail(
                    StalledError(f"{self.lag()} records to read, none read for {_STALLED_S:.0f} s")
                )

    def _progress(self) -> list[int]:
        return [worker.durable.offset for _, worker in sorted(self._scorer.workers.items())]

    def _behind(self, partition: int, offset: int) -> int:
        return max(0, (self._app.consumer.highwater(TP(self._topic, partition)) or 0) - offset)

    def _assignment(self) -> set[TP]:
        return {tp for tp in self._app.consumer.assignment() if tp.topic == self._topic}
