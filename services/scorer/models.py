"""Models that were published on ``churn-models``: checked, then served by version."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared import topics
from shared.domain.churn import ChurnModel, ModelStateError
from shared.domain.learner import Snapshot
from shared.domain.partition import Served
from shared.schemas.snapshots import SIGNATURE_HEADER, SnapshotError, decode_snapshot
from shared.settings import Settings

log = structlog.get_logger(__name__)


class KafkaModels:
    """Reads ``churn-models`` as far as it goes, each time somebody asks for what is not known."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = settings.model_key.get_secret_value().encode()
        self._tp = TopicPartition(settings.topic(topics.CHURN_MODELS.name), 0)
        self._reading = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._snapshots: dict[int, Snapshot] = {}

    async def start(self) -> None:
        """Connect."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await self._consumer.start()
        self._consumer.assign([self._tp])
        await self._consumer.seek_to_beginning(self._tp)

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def get(self, version: int) -> Served | None:
        """Return a version, or None when it is not there or cannot be trusted."""
        if version not in self._snapshots:
            await self.catch_up()
        return self._served(self._snapshots.get(version))

    async def at_most(self, version: int) -> Served | None:
        """Return the newest trusted version up to ``version``."""
        if version and version not in self._snapshots:
            await self.catch_up()
        known = [number for number in self._snapshots if number <= version]
        return self._served(self._snapshots[max(known)]) if known else None

    async def latest(self) -> Snapshot | None:
        """Return the newest trusted snapshot that is published now."""
        await self.catch_up()
        return self._snapshots[max(self._snapshots)] if self._snapshots else None

    async def catch_up(self) -> None:
        """Read on to the end of the topic as it is now."""
        async with self._reading:
            consumer = self._consumer
            if consumer is None:
                raise RuntimeError("not started")
            end = (await consumer.end_offsets([self._tp]))[self._tp]
            while await consumer.position(self._tp) < end:
                found = await consumer.getmany(self._tp, timeout_ms=200)
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

    @staticmethod
    def _served(snapshot: Snapshot | None) -> Served | None:
        if snapshot is None:
            return None
        return Served(snapshot.version, ChurnModel.load(snapshot.model).scorer())
