"""Models that were published on ``churn-models``: checked, then served by version."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared import topics
from shared.adapters.kafka_connection import connection
from shared.domain.churn import ChurnModel, ModelStateError
from shared.domain.learner import Snapshot, served
from shared.domain.scoring import Served
from shared.schemas.snapshots import SIGNATURE_HEADER, SnapshotError, decode_snapshot
from shared.settings import Settings

log = structlog.get_logger(__name__)

_FETCH_MS: Final = 200


class KafkaModels:
    """Reads ``churn-models`` as far as it goes, each time somebody asks for what is not known.

    A transaction becomes visible partition by partition, so whoever has read that a version is
    activated may be ahead of the snapshot itself. Therefore the end up to which is read is that of
    everything written; reading committed records up to there waits for what is under way.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = settings.model_key.get_secret_value().encode()
        self._tp = TopicPartition(settings.topic(topics.CHURN_MODELS.name), 0)
        self._reading = asyncio.Lock()
        self._consumers: list[AIOKafkaConsumer] = []
        self._snapshots: dict[int, Snapshot] = {}

    async def start(self) -> None:
        """Connect."""
        self._consumers = [
            self._consumer(level) for level in ("read_committed", "read_uncommitted")
        ]
        for consumer in self._consumers:
            await consumer.start()
        committed, _ = self._consumers
        committed.assign([self._tp])
        await committed.seek_to_beginning(self._tp)

    def _consumer(self, isolation_level: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **connection(self._settings),
            isolation_level=isolation_level,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    async def stop(self) -> None:
        """Disconnect."""
        for consumer in self._consumers:
            await consumer.stop()

    async def get(self, version: int) -> Served | None:
        """Return a version, or None when it is not there or cannot be trusted."""
        if version not in self._snapshots:
            await self.catch_up()
        return _served(self._snapshots.get(version))

    async def at_most(self, version: int) -> Served | None:
        """Return the newest trusted version up to ``version``."""
        if version and version not in self._snapshots:
            await self.catch_up()
        known = [number for number in self._snapshots if number <= version]
        return _served(self._snapshots[max(known)]) if known else None

    async def latest(self) -> Snapshot | None:
        """Return the newest trusted snapshot that is published now."""
        await self.catch_up()
        return self._snapshots[max(self._snapshots)] if self._snapshots else None

    async def all(self) -> dict[int, Snapshot]:
        """Return every trusted snapshot by its version, the oldest first."""
        await self.catch_up()
        return dict(sorted(self._snapshots.items()))

    async def catch_up(self) -> None:
        """Read on to the end of the topic as it is now."""
        async with self._reading:
            committed, written = self._consumers
            end = (await written.end_offsets([self._tp]))[self._tp]
            while await committed.position(self._tp) < end:
                found = await committed.getmany(self._tp, timeout_ms=_FETCH_MS)
                for record in found.get(self._tp, ()):
                    self._take(record.key, record.value, dict(record.headers))

    def _take(self, key: bytes | None, value: bytes | None, headers: dict[str, bytes]) -> None:
        if key is None or value is None:
            return
        try:
            signature = headers.get(SIGNATURE_HEADER, b"")
            snapshot = decode_snapshot(key, value, signature, self._secret)
            ChurnModel.load(snapshot.model)
        except (SnapshotError, ModelStateError) as error:
            log.error("model snapshot refused", reason=str(error))  # noqa: TRY400  # no bug of ours
            return
        self._snapshots[snapshot.version] = snapshot


def _served(snapshot: Snapshot | None) -> Served | None:
    return None if snapshot is None else served(snapshot)
