"""What the log must lead to: folded in this process, undisturbed, with the domain's own code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from kafka.consumer.fetcher import ConsumerRecord

from services.campaigner.campaign_file import read_campaigns
from services.scorer.bootstrap import owner_of
from services.scorer.ports import Restored
from services.scorer.records import moved_from
from services.scorer.state_store import KafkaStateStore
from shared import topics
from shared.domain import learner
from shared.domain.batch import Record
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.learner import Snapshot
from shared.domain.outputs import Score
from shared.domain.scoring import Served
from shared.domain.standings import Standings
from shared.schemas.snapshots import SIGNATURE_HEADER, decode_snapshot
from tests.faults.traffic import Sums
from tests.support.cluster import Cluster
from tests.support.oracle import Expected, fold


def published(records: Iterable[ConsumerRecord], cluster: Cluster) -> dict[int, Snapshot]:
    """Return the snapshots on ``churn-models`` by version, each with its signature checked."""
    secret = cluster.settings.model_key.get_secret_value().encode()
    found = [
        decode_snapshot(one.key, one.value, dict(one.headers)[SIGNATURE_HEADER], secret)
        for one in records
        if one.value is not None
    ]
    return {one.version: one for one in found}


def served(snapshots: Mapping[int, Snapshot]) -> dict[int, Served]:
    return {version: learner.served(one) for version, one in snapshots.items()}


def restored(cluster: Cluster) -> list[Restored]:
    """Restore every partition as the next owner would; nothing that is local is used."""
    return asyncio.run(_restored(cluster))


async def _restored(cluster: Cluster) -> list[Restored]:
    stores = KafkaStateStore(cluster.settings)
    found = []
    for number in range(cluster.settings.partitions):
        store = await stores.open(number)
        found.append(await store.restore())
        await store.close()
    return found


def sums(states: Iterable[Restored]) -> dict[str, Sums]:
    """Return what the states say that each customer's events add up to."""
    found = {}
    for one in states:
        for row, customer in zip(one.table.rows, one.table.ids, strict=False):
            found[customer] = Sums(int(row["events"]), int(row["revenue"]), int(row["cost"]))
    return found


def folded(cluster: Cluster, offsets: Sequence[int]) -> list[Expected]:
    """Fold the log of every partition up to an offset."""
    models = served(published(cluster.read(topics.CHURN_MODELS), cluster))
    owner, policy = owner_of(cluster.settings.partitions), cluster.settings.policy()
    return [
        fold(number, log(cluster, number, end), models, owner=owner, policy=policy)
        for number, end in enumerate(offsets)
    ]


def log(cluster: Cluster, number: int, end: int) -> Iterable[Record]:
    """Return the records of a partition of ``customer-events``, read with kafka-python."""
    for one in cluster.read(topics.CUSTOMER_EVENTS, number):
        if one.offset < end:
            yield Record(one.offset, one.timestamp, one.value, moved_from(one.headers))


def decisions(cluster: Cluster, partitions: Sequence[Sequence[Score]], now: int) -> list[Decision]:
    """Return what the campaigns decide about scores, partition by partition in their order."""
    return [each for one in batches(cluster, partitions, now) for each in one.decisions]


def batches(cluster: Cluster, partitions: Sequence[Sequence[Score]], now: int) -> Iterator[Batch]:
    """Yield what all scores of each partition add, had one campaigner read them at once."""
    book = read_campaigns(cluster.settings.campaigns_file)
    rules = Rules(
        book.campaigns,
        cluster.settings.control_salt,
        book.rails,
        segments=book.segments,
        definitions=book.definitions,
    )
    for number, scores in enumerate(partitions):
        batch = Batch(Lease(number, 1), 0, 0)
        fold_ = Fold(Standings(), batch, rules, now)
        for score in scores:
            fold_.take(score, msgspec.json.encode(score).decode())
        yield batch
