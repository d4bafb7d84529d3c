"""A model reaches the scorers through a real Kafka, however many plans it knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from services.scorer.models import KafkaModels, ModelRecord
from services.scorer.trainer import Trainer
from shared import topics
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.kafka_connection import connection
from shared.domain.drift import Drift
from shared.domain.features import FEATURES
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.domain.signs import SIGNS
from shared.settings import Settings
from tests.support.cluster import Cluster

LABELS, RECORD, FAMILIES = 20_000, 500, 60
#: From this label on most customers fall silent, of whom a third was said to.
TURN = 15_000
#: What a broker takes where neither it nor the topic is told otherwise.
BROKERS_DEFAULT_BYTES = 1_048_588


@pytest.fixture
async def cluster(kafka: EmbeddedKafka, prefix: str) -> Cluster:
    cluster = Cluster(kafka, prefix, partitions=1)
    await asyncio.to_thread(cluster.create_topics)
    return cluster


@pytest.fixture
def settings(cluster: Cluster) -> Settings:
    return cluster.settings


@pytest.fixture
async def models(settings: Settings) -> AsyncIterator[KafkaModels]:
    models = KafkaModels(settings)
    await models.start()
    yield models
    await models.stop()


def training_log() -> Iterator[Training]:
    """Yield labels of customers on plans of many families, at all ages of these plans."""
    draw = np.random.default_rng(0)
    features = draw.uniform(0, 90, (LABELS, len(FEATURES)))
    features[:, FEATURES.index("plan")] = draw.integers(1, FAMILIES + 1, LABELS)
    features[:, FEATURES.index("family")] = features[:, FEATURES.index("plan")]
    features[:, FEATURES.index("plan_days")] = draw.uniform(0, 400, LABELS)
    features[:, FEATURES.index("visits")] = draw.geometric(0.05, LABELS)
    features[:, FEATURES.index("recency")] = draw.exponential(20, LABELS)
    features[:, FEATURES.index("day")] = 18_000 + np.arange(LABELS) / 100
    features[:, FEATURES.index(SIGNS[0]) :] = 0.0
    for first in range(0, LABELS, RECORD):
        numbers = range(first, first + RECORD)
        examples = [example(number, features[number].tolist()) for number in numbers]
        yield Training(Watermark(0, examples[-1].labelled_at), examples)


def example(number: int, features: list[float]) -> Example:
    at, silent = (number + 1) * 1_000_000, (number % 3 == 0) == (number < TURN)
    return Example(Identity(0, number, 0), at, at, features, silent, 0.3, 0.3, model=0, recent=True)


async def write_log(settings: Settings) -> None:
    topic = settings.topic(topics.TRAINING_EXAMPLES.name)
    async with AIOKafkaProducer(**connection(settings)) as producer:
        for training in training_log():
            await producer.send_and_wait(topic, msgspec.json.encode(training), partition=0)


class NoUpkeep:
    async def due(self, _model: str, _partitions: Iterable[int]) -> list[ModelRecord]:
        return []


async def test_a_model_that_knows_many_plans_is_published_and_a_change_told_of_once(
    cluster: Cluster, settings: Settings, models: KafkaModels
) -> None:
    await write_log(settings)
    training = asyncio.create_task(Trainer(settings, models, NoUpkeep()).run())
    try:
        async with asyncio.timeout(120):
            while not await is_learned(models):
                if training.done():
                    await training
    finally:
        training.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await training
    newest = await models.latest()
    assert newest is not None
    assert len(msgspec.json.encode(newest)) > BROKERS_DEFAULT_BYTES
    (record,) = await asyncio.to_thread(cluster.read, topics.MODEL_DRIFTS)
    drift = msgspec.json.decode(record.value, type=Drift)
    assert TURN < drift.labels < TURN + 1_000
    assert drift.before == pytest.approx(0.09 * 2 / 3 + 0.49 / 3, abs=0.01)  # of .3 said to all
    assert drift.after > drift.before


async def is_learned(models: KafkaModels) -> bool:
    newest = await models.latest()
    return newest is not None and newest.labels > LABELS - 2_000
