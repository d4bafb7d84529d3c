"""Versions of the model go once the log names them no more, and no sooner, on a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, TopicPartition

from services.scorer import models as models_module
from services.scorer import upkeep as upkeep_module
from services.scorer.models import KafkaModels, ModelRecord
from services.scorer.source_log import KafkaSourceLog
from services.scorer.trainer import Trainer
from services.scorer.upkeep import Upkeep
from shared import topics
from shared.adapters.control_log import tell_every_partition
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.adapters.kafka_connection import connection
from shared.domain import retention
from shared.domain.features import FEATURES
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.domain.policy import DAY_MS
from shared.schemas.control_events import pin_event
from shared.schemas.snapshots import snapshot_key, version_of
from shared.settings import Settings
from tests.support.cluster import Cluster

#: Labels of one day: each is published as a version once the next day's first is there.
LABELS = 100
#: In place of days.
MARGIN_MS = 500


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEPT", 2)
    monkeypatch.setattr(retention, "MARGIN_MS", MARGIN_MS)
    monkeypatch.setattr(upkeep_module, "_EVERY_S", 0.0)


class Deployment:
    """A trainer, and who asks for its models."""

    def __init__(self, cluster: Cluster, models: KafkaModels, source: KafkaSourceLog) -> None:
        self.cluster, self.models, self._source = cluster, models, source
        self.pins: set[int] = set()
        self._days = 0

    @property
    def settings(self) -> Settings:
        return self.cluster.settings

    @contextlib.asynccontextmanager
    async def training(self, upkeep: Upkeep | None = None) -> AsyncIterator[asyncio.Task[None]]:
        ours = Upkeep(self.models, self._source, lambda: self.pins)
        trainer = asyncio.create_task(Trainer(self.settings, self.models, upkeep or ours).run())
        try:
            yield trainer
        finally:
            trainer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ValueError):
                await trainer

    async def learn(self, days: int) -> int:
        """Write labels of some days; return the version that the last of them makes."""
        name = self.settings.topic(topics.TRAINING_EXAMPLES.name)
        async with AIOKafkaProducer(**connection(self.settings)) as producer:
            for _ in range(days):
                self._days += 1
                examples = [label(self._days, number) for number in range(LABELS)]
                record = Training(Watermark(0, examples[-1].labelled_at), examples)
                await producer.send_and_wait(name, msgspec.json.encode(record), partition=0)
        return self._days

    def live(self) -> set[int]:
        """Return the versions that compaction would leave."""
        found = {
            version_of(one.key): one.value is not None
            for one in self.cluster.read(topics.CHURN_MODELS)
        }
        return {version for version, lives in found.items() if lives}

    def named(self) -> set[int]:
        """Return the versions that are activated by what the log still holds."""
        values = [one.value for one in self.cluster.read(topics.CUSTOMER_EVENTS, 0)]
        found = [re.search(rb'"id":"churn/(\d+)"', value) for value in values]
        return {int(one[1]) for one in found if one}

    def cut_log(self) -> None:
        """Let the log begin behind all that it holds, as when it aged out."""
        name = self.settings.topic(topics.CUSTOMER_EVENTS.name)
        end = self.cluster.read(topics.CUSTOMER_EVENTS, 0)[-1].offset + 1
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        try:
            admin.delete_records({TopicPartition(name, 0): end})
        finally:
            admin.close()


def label(day: int, number: int) -> Example:
    at = day * DAY_MS + number
    return Example(
        Identity(0, day, number), at, at, [1.0] * len(FEATURES), number % 3 == 0, 0.3, 0.3,
        model=0, recent=True,
    )  # fmt: skip


@pytest.fixture
async def deployment(kafka: EmbeddedKafka, prefix: str) -> AsyncIterator[Deployment]:
    cluster = Cluster(kafka, prefix, partitions=1)
    await asyncio.to_thread(cluster.create_topics)
    async with contextlib.AsyncExitStack() as stack:
        services = (KafkaModels(cluster.settings), KafkaSourceLog(cluster.settings))
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        yield Deployment(cluster, *services)


async def until(reached: Callable[[], Awaitable[bool]], trainer: asyncio.Task[None]) -> None:
    async with asyncio.timeout(60):
        while not await reached():
            if trainer.done():
                await trainer
            await asyncio.sleep(0.05)


async def test_what_the_log_names_no_more_goes_and_a_pinned_version_stays(
    deployment: Deployment,
) -> None:
    models = deployment.models

    async def published(version: int) -> bool:
        return version in await models.published()

    async with deployment.training() as trainer:
        first = await deployment.learn(6)
        await until(lambda: published(first), trainer)
        assert await asyncio.to_thread(deployment.live) == set(range(1, first + 1))
        await asyncio.to_thread(deployment.cut_log)

        async def is_past() -> bool:
            newest = max((await models.published()).values())
            return time.time() * 1000 > newest + 2 * MARGIN_MS

        await until(is_past, trainer)
        # The pin publishes version 2 again, so it is as young as the log that tells of it.
        await tell_every_partition(
            deployment.settings, pin_event(2, 17, "eve", "", "tests"), pinned=2
        )
        last = await deployment.learn(4)
        await until(lambda: published(last), trainer)
    live = await asyncio.to_thread(deployment.live)
    named = await asyncio.to_thread(deployment.named)
    assert named == set(range(first + 1, last + 1))
    assert named <= live
    # With those that are named: what is pinned, and what served when the log began.
    assert live == named | {2, first}
    assert await models.get(1) is None
    for reader in (models, await another(deployment.settings)):
        assert set(await reader.published()) == live
        for version in live:
            found = await reader.get(version)
            assert found is not None
            assert found.version == version
        older = await reader.at_most(first - 1)
        assert older is not None
        assert older.version == 2
        assert len(reader._at_hand) <= models_module._AT_HAND
        if reader is not models:
            await reader.stop()


async def another(settings: Settings) -> KafkaModels:
    models = KafkaModels(settings)
    await models.start()
    return models


class Killed:
    """Wants a version gone, and ends the trainer before the transaction does."""

    async def due(self, model: str, _partitions: Iterable[int]) -> list[ModelRecord]:
        class Deadly(ModelRecord):
            @property
            def value(self) -> bytes:  # type: ignore[override]
                raise ValueError("killed")

        return [ModelRecord(snapshot_key(model, 1), None), Deadly(b"", b"")]


async def test_killed_between_tombstone_and_commit_nothing_has_happened(
    deployment: Deployment,
) -> None:
    async def published() -> bool:
        return 3 in await deployment.models.published()

    async with deployment.training() as trainer:
        await deployment.learn(3)
        await until(published, trainer)
    async with deployment.training(Killed()) as trainer:
        last = await deployment.learn(1)
        async with asyncio.timeout(60):
            with pytest.raises(ValueError, match="killed"):
                await asyncio.shield(trainer)
    assert await asyncio.to_thread(deployment.live) == {1, 2, 3}
    assert await deployment.models.get(1) is not None
    async with deployment.training() as trainer:

        async def is_learned() -> bool:
            return last in await deployment.models.published()

        await until(is_learned, trainer)
    assert await asyncio.to_thread(deployment.live) == {1, 2, 3, 4}
