"""The trainer: learns ``training-examples``, publishes models, and tells every partition.

Of all scorers one runs it: the topic has one partition, and the consumer group gives it to one
member. A former trainer that wakes up late is fenced by the transactional id.

A snapshot, the control events that activate it, what it tells of drift and which versions go are
one transaction, so no scorer is ever told of a model that is not there. Killed anywhere, the next
trainer resumes from the last snapshot and learns the log behind it again, to the same bits.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from services.scorer.models import KafkaModels
from services.scorer.upkeep import Upkeep
from shared import topics
from shared.adapters.kafka_connection import connection
from shared.domain.learner import Learner, Snapshot
from shared.domain.outputs import Training
from shared.schemas.snapshots import SIGNATURE_HEADER, encode_snapshot, snapshot_key
from shared.settings import Settings

log = structlog.get_logger(__name__)

MODEL: Final = "churn"
_FETCH_MS: Final = 500
_FETCH_RECORDS: Final = 100
_decode = msgspec.json.Decoder(Training).decode


@dataclass(frozen=True)
class _Reign:
    """What the trainer has while the group's training log is its own."""

    generation: int
    learner: Learner
    producer: AIOKafkaProducer


class Trainer:
    """Runs beside a scorer; learns while the group gives it the training log.

    One task does everything in order; the group's listener only counts generations. So a hand-over
    never meets a half-made trainer: whatever was begun for a generation that is over is dropped.
    """

    def __init__(self, settings: Settings, models: KafkaModels, upkeep: Upkeep) -> None:
        self._settings = settings
        self._models = models
        self._upkeep = upkeep
        self._secret = settings.model_key.get_secret_value().encode()
        self._tp = TopicPartition(settings.topic(topics.TRAINING_EXAMPLES.name), 0)
        self._generation = 0
        self._reign: _Reign | None = None

    @property
    def learner(self) -> Learner | None:
        """What has been learned, while this process is the trainer."""
        return None if self._reign is None else self._reign.learner

    async def run(self) -> None:
        """Learn until cancelled."""
        consumer = AIOKafkaConsumer(
            **connection(self._settings),
            group_id=self._settings.topic("tenure-trainer"),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=round(self._settings.session_timeout_s * 1000),
            heartbeat_interval_ms=round(self._settings.session_timeout_s * 1000 / 4),
        )
        consumer.subscribe([self._tp.topic], listener=_Generations(self))
        try:
            await consumer.start()
            while True:
                await self._step(consumer)
        finally:
            await self._abdicate()
            await consumer.stop()

    def next_generation(self) -> None:
        """Start over from the published snapshot, whatever changed in the group."""
        self._generation += 1

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        if self._reign is None or not self._is_current(self._reign.generation):
            await self._abdicate()
            if self._tp in consumer.assignment():
                await self._take_over(consumer)
        found = await consumer.getmany(timeout_ms=_FETCH_MS, max_records=_FETCH_RECORDS)
        for record in found.get(self._tp, ()):
            if self._reign is None or not self._is_current(self._reign.generation):
                return  # read before the log was given to another, or was sought back
            await self._learn(self._reign, record.offset, _decode(record.value))
            await asyncio.sleep(0)  # learning holds the loop for a while; let the scorer in

    def _is_current(self, generation: int) -> bool:
        return generation == self._generation

    async def _take_over(self, consumer: AIOKafkaConsumer) -> None:
        """Shut the former trainer out, then resume from what it last published."""
        generation = self._generation
        producer = AIOKafkaProducer(
            **connection(self._settings),
            transactional_id=self._settings.topic("trainer"),
            max_request_size=topics.LARGEST_MODEL_BYTES,
        )
        try:
            await producer.start()
            snapshot = await self._models.latest()
        except BaseException:
            await producer.stop()
            raise
        learner = (
            Learner.resume(snapshot) if snapshot else Learner(self._settings.policy().horizon_days)
        )
        self._reign = _Reign(generation, learner, producer)
        if self._is_current(generation):  # else the log may be another's, and cannot be sought
            consumer.seek(self._tp, snapshot.resume if snapshot else 0)
            log.info("trainer took over", version=learner.version)

    async def _abdicate(self) -> None:
        """Stop being the trainer."""
        reign, self._reign = self._reign, None
        if reign is not None:
            await reign.producer.stop()

    async def _learn(self, reign: _Reign, offset: int, training: Training) -> None:
        for snapshot in reign.learner.take(offset, training):
            if not await self._published(reign.producer, snapshot):
                return

    async def _published(self, producer: AIOKafkaProducer, snapshot: Snapshot) -> bool:
        """Publish a snapshot and activate it; False when another trainer has taken over."""
        events = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        partitions = sorted(await producer.partitions_for(events))
        upkeep = await self._upkeep.due(MODEL, partitions)
        try:
            async with producer.transaction():
                await self._send(producer, snapshot, partitions)
                models = self._settings.topic(topics.CHURN_MODELS.name)
                for record in upkeep:
                    await producer.send_and_wait(
                        models, record.value, record.key, 0, headers=list(record.headers)
                    )
        except (ProducerFenced, InvalidProducerEpoch):
            log.warning("trainer was replaced", version=snapshot.version)
            await self._abdicate()
            return False
        return True

    async def _send(
        self, producer: AIOKafkaProducer, snapshot: Snapshot, partitions: list[int]
    ) -> None:
        key = snapshot_key(MODEL, snapshot.version)
        value, signature = encode_snapshot(key, snapshot, self._secret)
        models = self._settings.topic(topics.CHURN_MODELS.name)
        events = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        await producer.send_and_wait(
            models, value, key=key, partition=0, headers=[(SIGNATURE_HEADER, signature)]
        )
        drifts = self._settings.topic(topics.MODEL_DRIFTS.name)
        for drift in snapshot.drifts:
            log.warning("served predictions got worse", before=drift.before, after=drift.after)
            await producer.send(drifts, msgspec.json.encode(drift), key=MODEL.encode(), partition=0)
        for promoted in snapshot.promotions[-1:]:
            if promoted.version == snapshot.version:
                log.info("challenger promoted", configuration=promoted.configuration)
        activation = _activation(snapshot)
        for partition in partitions:
            await producer.send(events, activation, partition=partition)

    def report(self) -> dict[str, Any] | None:
        """Return the prequential metrics, when this process is the trainer."""
        learner = self.learner
        if learner is None:
            return None
        return {
            "version": learner.version,
            "labels": learner.model.labels,
            **learner.metrics.total.report(),
            "recent": learner.metrics.recent().report(),
            "recent_customers": learner.metrics_recent_customers.total.report(),
            "markets": learner.markets.report(),
            "challenger": learner.comparison.report() | {"promotions": len(learner.promotions)},
            "reliability": learner.metrics.total.reliability(),
        }


class _Generations(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Tells the trainer that something changed in its group."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        del revoked
        self._trainer.next_generation()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        del assigned
        self._trainer.next_generation()


def _activation(snapshot: Snapshot) -> bytes:
    """Return the control event; its time is one that every partition has passed already."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "type": "tenure.model",
            "id": f"{MODEL}/{snapshot.version}",
            "source": "tenure/trainer",
            "time": datetime.fromtimestamp(snapshot.at / 1000, UTC),
            "data": {"model": MODEL, "version": snapshot.version},
        }
    )
