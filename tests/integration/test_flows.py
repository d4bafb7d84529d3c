"""`tenure flows` on a real Kafka: every partition's moves, committed ones alone."""

import json

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.scorer.state_store import KafkaStateStore
from shared.adapters.embedded_kafka import EmbeddedKafka
from shared.domain.emission import Effects
from shared.domain.outputs import Identity as Place
from shared.domain.outputs import Stage, Transition
from shared.domain.policy import DAY_MS
from shared.domain.position import Position
from tests.support.cluster import Cluster

pytestmark = pytest.mark.kafka

T0 = 20_000 * DAY_MS  # 2024-10-04


def move(partition: int, day: int, before: Stage, after: Stage, lasted: int) -> Transition:
    return Transition(
        customer=f"c{partition}", at=T0 + day * DAY_MS, origin=Place(partition, day, 0),
        before=before, after=after, reason="", lasted_ms=lasted * DAY_MS,
    )  # fmt: skip


@pytest.fixture
async def cluster(kafka: EmbeddedKafka, prefix: str) -> Cluster:
    """Two partitions with a customer each, of whom one was won back."""
    found = Cluster(kafka, prefix, partitions=2)
    found.create_topics()
    stores = KafkaStateStore(found.settings)
    for number in range(2):
        store = await stores.open(number)
        await store.restore()
        moves = [move(number, 10, "growth", "lapsed", 3 + number)]
        moves += [move(number, 30, "lapsed", "won_back", 20)] * number
        await store.commit([Effects(transitions=moves)], Position(offset=1, now=T0))
        await store.close()
    return found


def tenure(cluster: Cluster, *arguments: str) -> str:
    result = CliRunner(env=cluster.environment).invoke(app, ["flows", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_moves_of_every_partition_are_shown(cluster: Cluster) -> None:
    found = json.loads(tenure(cluster, "--json"))
    assert found["stages"] == [
        {"stage": "growth", "moves": 2, "median_days": 3.5, "to": {"lapsed": 2}},
        {"stage": "lapsed", "moves": 1, "median_days": 20.0, "to": {"won_back": 1}},
    ]
    assert (found["customers"], found["lapsed"], found["won_back"]) == (2, 2, 1)
    assert "won back 1 of them (50.0%, after 20.0 days)" in tenure(cluster)


def test_earlier_moves_are_left_out(cluster: Cluster) -> None:
    found = json.loads(tenure(cluster, "--since", "2024-10-24", "--json"))
    assert [each["stage"] for each in found["stages"]] == ["lapsed"]
    assert "No moves" in tenure(cluster, "--since", "2025-01-01")
