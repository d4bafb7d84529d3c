"""Models that were published on ``churn-models``: checked, then served by version.

Only where each version lies is remembered: there are as many as the log names, of megabytes each.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared import topics
from shared.adapters.kafka_connection import connection
from shared.domain.churn import ChurnModel, ModelStateError
from shared.domain.learner import Snapshot, served
from shared.domain.scoring import Served
from shared.schemas.snapshots import (
    SIGNATURE_HEADER,
    SnapshotError,
    check_signature,
    decode_snapshot,
    version_of,
)
from shared.settings import Settings

log = structlog.get_logger(__name__)

_FETCH_MS: Final = 200
#: Decoded models at hand: the newest, and those that partitions in replay are at.
_AT_HAND: Final = 4


class ModelRecord(NamedTuple):
    """A record of ``churn-models``; without a value it says that a version is gone."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def signature(self) -> bytes:
        """What it is signed with."""
        return dict(self.headers).get(SIGNATURE_HEADER, b"")


class _Place(NamedTuple):
    offset: int
    at: int  # when it was published, epoch milliseconds


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
        self._places: dict[int, _Place] = {}
        self._at_hand: OrderedDict[int, Served] = OrderedDict()

    async def start(self) -> None:
        """Connect."""
        self._consumers = [
            self._consumer(level) for level in ("read_committed", "read_uncommitted")
        ]
        for consumer in self._consumers:
            await consumer.start()
            consumer.assign([self._tp])
        committed, _ = self._consumers
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
        if version not in self._places:
            await self.catch_up()
        return await self._serve(version)

    async def at_most(self, version: int) -> Served | None:
        """Return the newest trusted version up to ``version``."""
        if version and version not in self._places:
            await self.catch_up()
        for number in self._newest_first(version):
            if found := await self._serve(number):
                return found
        return None

    async def latest(self) -> Snapshot | None:
        """Return the newest trusted snapshot that is published now."""
        await self.catch_up()
        for number in self._newest_first():
            if found := await self.snapshot(number):
                return found
        return None

    async def each(self) -> AsyncIterator[Snapshot]:
        """Yield every trusted snapshot, the oldest first."""
        await self.catch_up()
        for version in sorted(self._places):
            if found := await self.snapshot(version):
                yield found

    async def published(self) -> dict[int, int]:
        """Return when each version was last published, epoch milliseconds."""
        await self.catch_up()
        return {version: place.at for version, place in self._places.items()}

    def _newest_first(self, most: int | None = None) -> Iterable[int]:
        return sorted((one for one in self._places if most is None or one <= most), reverse=True)

    async def _serve(self, version: int) -> Served | None:
        """Return a version that is at hand, or have it fetched."""
        if version not in self._at_hand:
            snapshot = await self.snapshot(version)
            if snapshot is None:
                return None
            self._at_hand[version] = served(snapshot)
        self._at_hand.move_to_end(version)
        found = self._at_hand[version]
        while len(self._at_hand) > _AT_HAND:
            self._at_hand.popitem(last=False)
        return found

    async def snapshot(self, version: int) -> Snapshot | None:
        """Return a version as it was published, or None when it cannot be had or trusted."""
        record = await self.record(version)
        if record is None:  # it may have been published again, and compacted where it lay
            await self.catch_up()
            record = await self.record(version)
        if record is None or record.value is None:
            return None
        try:
            found = decode_snapshot(record.key, record.value, record.signature, self._secret)
            for model in filter(None, (found.model, found.challenger)):
                ChurnModel.load(model)
        except (SnapshotError, ModelStateError) as error:
            self._refuse(error)
            self._places.pop(version, None)
            return None
        return found

    async def record(self, version: int) -> ModelRecord | None:
        """Return the record of a version that is known, or None if it is gone since."""
        _, reader = self._consumers
        async with self._reading:
            place = self._places.get(version)
            if place is None:
                return None
            reader.seek(self._tp, place.offset)
            while await reader.position(self._tp) <= place.offset:
                found = await reader.getmany(self._tp, timeout_ms=_FETCH_MS, max_records=1)
                for one in found.get(self._tp, ()):
                    if one.offset == place.offset:
                        return ModelRecord(one.key, one.value, one.headers)
        return None

    async def catch_up(self) -> None:
        """Read on to the end of the topic as it is now."""
        async with self._reading:
            committed, written = self._consumers
            end = (await written.end_offsets([self._tp]))[self._tp]
            while await committed.position(self._tp) < end:
                found = await committed.getmany(self._tp, timeout_ms=_FETCH_MS)
                for one in found.get(self._tp, ()):
                    place = _Place(one.offset, one.timestamp)
                    self._take(ModelRecord(one.key, one.value, one.headers), place)

    def _take(self, record: ModelRecord, place: _Place) -> None:
        """Remember where a version lies, or that it is gone."""
        version = version_of(record.key)
        if version is None:
            return
        if record.value is None:
            self._places.pop(version, None)
            self._at_hand.pop(version, None)
            return
        try:
            check_signature(record.key, record.value, record.signature, self._secret)
        except SnapshotError as error:
            self._refuse(error)
            return
        self._places[version] = place

    @staticmethod
    def _refuse(error: Exception) -> None:
        log.error("model snapshot refused", reason=str(error))
