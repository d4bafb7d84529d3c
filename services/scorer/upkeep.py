"""Keeps ``churn-models`` as long as somebody may need it, and no longer.

What is to go, and what is to stay although it is old (`shared.domain.retention`), is written in the
transaction of the trainer's next snapshot: killed at any place, either all of it is there or
nothing, and the next trainer looks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from services.scorer.models import KafkaModels, ModelRecord
from services.scorer.ports import SourceLog
from services.scorer.service import Scorer
from shared.domain.retention import outdated, renewable
from shared.schemas.snapshots import snapshot_key

log = structlog.get_logger(__name__)

#: How often is looked. A replay publishes a version for each day of a history, in a few minutes.
_EVERY_S: Final = 3_600.0


class Upkeep:
    """Finds what has to be written to ``churn-models`` beside the next snapshot.

    Parameters
    ----------
    models
        What is there.
    source
        The log, for where it begins.
    pinned
        Returns the versions that are pinned; None while nobody here knows: then nothing goes.

    """

    def __init__(
        self, models: KafkaModels, source: SourceLog, pinned: Callable[[], set[int] | None]
    ) -> None:
        self._models = models
        self._source = source
        self._pinned = pinned
        self._next_look = 0.0

    async def due(self, model: str, partitions: Iterable[int]) -> list[ModelRecord]:
        """Return what is to be written; usually nothing.

        Parameters
        ----------
        model
            Whose versions.
        partitions
            Those of the log.

        """
        pinned, now = self._pinned(), time.monotonic()
        if pinned is None or now < self._next_look:
            return []
        self._next_look = now + _EVERY_S
        beginning = await self._beginning(partitions)
        published = await self._models.published()
        stale = renewable(published, time.time_ns() // 1_000_000, pinned)
        renewed = [await self._models.record(version) for version in stale]
        gone = outdated(published, beginning, pinned) if beginning is not None else []
        if gone:
            log.info("versions of the model go", first=gone[0], last=gone[-1], count=len(gone))
        tombstones = [ModelRecord(snapshot_key(model, version), None) for version in gone]
        return [*filter(None, renewed), *tombstones]

    async def _beginning(self, partitions: Iterable[int]) -> int | None:
        """Return the append time of the oldest record of the log; None when it holds nothing."""
        times = []
        for number in partitions:
            first, end = await self._source.bounds(number)
            found = await self._source.read(number, first, end) if first < end else []
            times += [one.timestamp for one in found[:1]]
        return min(times, default=None)


def pinned_versions(scorer: Scorer) -> set[int] | None:
    """Return what is pinned by the partitions that this process has; None without any."""
    pins = {worker.durable.serving.pinned for worker in scorer.workers.values()}
    return {version for version in pins if version is not None} if pins else None
