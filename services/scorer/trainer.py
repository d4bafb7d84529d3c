"""The trainer: learns ``training-examples``, publishes models, and tells every partition.

Of all scorers one runs it: the topic has one partition, and the consumer group gives it to one
member. A former trainer that wakes up late is fenced by the transactional id.

A snapshot and the control events that activate it are one transaction, so no scorer is ever told
of a model that is not there. Killed anywhere, the next trainer resumes from the last snapshot and
learns the log behind it again, to the same bits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from services.scorer.models import KafkaModels
from shared import metrics, topics
from shared.domain.learner import Learner, Snapshot
from shared.domain.outputs import Training
from shared.schemas.snapshots import SIGNATURE_HEADER, encode_snapshot, snapshot_key
from shared.settings import Settings

log = structlog.get_logger(__name__)

MODEL: Final = "churn"
_decode = msgspec.json.Decoder(Training).decode


class Trainer:
    """Runs beside a scorer; learns while the group gives it the training log."""

    def __init__(
        self, settings: Settings, models: KafkaModels, fail: Callable[[BaseException], None]
    ) -> None:
        self._settings = settings
        self._models = models
        self._fail = fail
        self._secret = settings.model_key.get_secret_value().encode()
        self._tp = TopicPartition(settings.topic(topics.TRAINING_EXAMPLES.name), 0)
        self._producer: AIOKafkaProducer | None = None
        self.learner: Learner | None = None

    async def run(self) -> None:
        """Learn until cancelled."""
        try:
            await self._run()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it is, the process ends with it
            self._fail(error)

    async def _run(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            group_id=self._settings.topic("tenure-trainer"),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=round(self._settings.session_timeout_s * 1000),
            heartbeat_interval_ms=round(self._settings.session_timeout_s * 1000 / 4),
        )
        consumer.subscribe([self._tp.topic], listener=_Forget(self))
        await consumer.start()
        try:
            while True:
                await self._step(consumer)
        finally:
            await consumer.stop()
            await self.forget()

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        if self._tp in consumer.assignment() and self.learner is None:
            await self._take_over(consumer)
        learner = self.learner
        found = await consumer.getmany(timeout_ms=500, max_records=100)
        for record in found.get(self._tp, ()):
            if learner is None or learner is not self.learner:
                return  # read before the log was given to another, or was sought back
            for snapshot in learner.take(record.offset, _decode(record.value)):
                if not await self._publish(snapshot):
                    return
            await asyncio.sleep(0)  # learning holds the loop for a while; let the scorer in
        if learner is not None:
            metrics.MODEL_LABELS.set(learner.model.labels)

    async def _take_over(self, consumer: AIOKafkaConsumer) -> None:
        """Shut the former trainer out, then resume from what it last published."""
        await self.forget()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            transactional_id=self._settings.topic("trainer"),
            max_request_size=8_000_000,
        )
        await self._producer.start()
        snapshot = await self._models.latest()
        self.learner = Learner.resume(snapshot) if snapshot else Learner()
        if snapshot:
            consumer.seek(self._tp, snapshot.resume)
        else:
            await consumer.seek_to_beginning(self._tp)
        log.info("trainer took over", version=snapshot.version if snapshot else 0)

    async def forget(self) -> None:
        """Stop being the trainer."""
        self.learner = None
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with contextlib.suppress(ProducerFenced, InvalidProducerEpoch):
                await producer.stop()

    async def _publish(self, snapshot: Snapshot) -> bool:
        """Publish a snapshot and activate it; False when another trainer has taken over."""
        producer = self._producer
        if producer is None:
            return False
        try:
            async with producer.transaction():
                await self._send(producer, snapshot)
        except (ProducerFenced, InvalidProducerEpoch):
            log.warning("trainer was replaced", version=snapshot.version)
            await self.forget()
            return False
        metrics.MODEL_VERSION.set(snapshot.version)
        return True

    async def _send(self, producer: AIOKafkaProducer, snapshot: Snapshot) -> None:
        key = snapshot_key(MODEL, snapshot.version)
        value, signature = encode_snapshot(key, snapshot, self._secret)
        models = self._settings.topic(topics.CHURN_MODELS.name)
        events = self._settings.topic(topics.CUSTOMER_EVENTS.name)
        await producer.send_and_wait(
            models, value, key=key, partition=0, headers=[(SIGNATURE_HEADER, signature)]
        )
        activation = _activation(snapshot)
        for partition in sorted(await producer.partitions_for(events)):
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
            "reliability": learner.metrics.total.reliability(),
        }


class _Forget(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Whatever changes in the group, start over from the published snapshot."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        del revoked
        await self._trainer.forget()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        del assigned
        await self._trainer.forget()


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
