"""A scorer that is killed at each step of a commit, on a real Kafka: everything is there once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest
from kafka import KafkaProducer

from services.scorer.bootstrap import owner_of
from services.scorer.records import POSITION_KEY
from shared import topics
from shared.adapters.embedded_kafka import EmbeddedKafka, free_port
from shared.domain.position import Position
from tests.faults.doomed_scorer import FEW_PLACES, PLACES
from tests.faults.expected import folded, restored, sums
from tests.faults.scenario import wait_for
from tests.faults.traffic import Accepted, Event, encoded, history
from tests.support.cluster import Cluster
from tests.support.oracle import (
    assert_same_outputs,
    assert_same_states,
    scores,
    trainings,
    transitions,
)

pytestmark = [pytest.mark.kafka, pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS = 2
BATCHES_A_ROUND = 4
DIES_WITHIN_S = 120
owner = owner_of(PARTITIONS)


@pytest.fixture
def cluster(kafka: EmbeddedKafka, prefix: str) -> Cluster:
    cluster = Cluster(
        kafka,
        prefix,
        partitions=PARTITIONS,
        scorer_instance="the-one",  # its partitions wait for it
        scorer_port=free_port(),
        tick_after_s=3_600,
    )
    cluster.create_topics()
    return cluster


@contextmanager
def scorer(cluster: Cluster, log: Path, place: str, nth: int) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.doomed_scorer", place, str(nth)],
            env=cluster.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def abandon(cluster: Cluster, batch: list[Event]) -> None:
    """Write a batch to every partition in a transaction that comes to nothing."""
    producer = KafkaProducer(
        bootstrap_servers=cluster.settings.kafka_bootstrap_servers,
        transactional_id=cluster.settings.topic("gives-up"),
    )
    producer.init_transactions()
    producer.begin_transaction()
    for number in range(PARTITIONS):
        mine = [event for event in batch if owner(event["subject"]) == number]
        topic = cluster.settings.topic(topics.CUSTOMER_EVENTS.name)
        producer.send(topic, encoded(mine), partition=number)
    producer.flush()
    producer.abort_transaction()
    producer.close()


def produce(cluster: Cluster, batches: list[list[Event]]) -> None:
    """Write each batch as a record a partition, then an event on a wrong one, and garbage."""
    topic = cluster.settings.topic(topics.CUSTOMER_EVENTS.name)
    producer = KafkaProducer(bootstrap_servers=cluster.settings.kafka_bootstrap_servers)
    for batch in batches:
        *others, last = batch
        for number in range(PARTITIONS):
            mine = [event for event in others if owner(event["subject"]) == number]
            producer.send(topic, encoded(mine), partition=number)
            producer.send(topic, b"{no event", partition=number)
        producer.send(topic, encoded(last), partition=1 - owner(last["subject"]))
        producer.flush()
    producer.close()


@pytest.fixture
def places(request: pytest.FixtureRequest) -> list[str]:
    return PLACES if request.config.getoption("--long-faults") else FEW_PLACES


def test_killed_at_every_step_everything_is_there_once(
    cluster: Cluster, tmp_path: Path, places: list[str]
) -> None:
    random, log, accepted = Random(3), tmp_path / "log", Accepted()
    batches = history(random, 40 * BATCHES_A_ROUND * len(places), time.time())
    abandon(cluster, history(Random(4), 40, time.time())[0])
    for number, place in enumerate(places):
        some = batches[number * BATCHES_A_ROUND :][:BATCHES_A_ROUND]
        produce(cluster, some)
        for batch in some:
            accepted.add(batch)
        # Both partitions pass each place; the second may be in the middle of another.
        with scorer(cluster, log, place, random.randrange(1, 3)) as doomed:
            assert doomed.wait(DIES_WITHIN_S) == -signal.SIGKILL, log.read_text()[-5_000:]
    with scorer(cluster, log, "nowhere", 1) as last:
        wait_for(lambda: is_through(cluster), "all is durable")
        last.terminate()
        assert last.wait(60) == 0
    assert sums(restored(cluster)) == accepted.sums()
    assert_undisturbed(cluster)


def is_through(cluster: Cluster) -> bool:
    """Tell whether all is durable, without a restore, which would fence the scorer."""
    return all(
        durable(cluster, number) > cluster.read(topics.CUSTOMER_EVENTS, number)[-1].offset
        for number in range(PARTITIONS)
    )


def durable(cluster: Cluster, number: int) -> int:
    records = cluster.read(topics.CUSTOMER_STATE, number)
    positions = [one.value for one in records if one.key == POSITION_KEY]
    return msgspec.json.decode(positions[-1], type=Position).offset


def assert_undisturbed(cluster: Cluster) -> None:
    states = restored(cluster)
    expected = folded(cluster, [one.position.offset for one in states])
    for number, (found, wanted) in enumerate(zip(states, expected, strict=True)):
        assert found.position == wanted.position
        assert_same_states(found.table, wanted.partition.table)
        for topic in (topics.CUSTOMER_SCORES, topics.SCORE_HISTORY):
            assert_same_outputs(scores(values(cluster, topic, number)), wanted.scores)
        moves = transitions(values(cluster, topics.LIFECYCLE_TRANSITIONS, number))
        assert_same_outputs(moves, wanted.transitions)
    log = trainings(values(cluster, topics.TRAINING_EXAMPLES))
    examples = [one for each in log for one in each.examples]
    assert_same_outputs(examples, [one for each in expected for one in each.examples])
    letters = [one for each in expected for one in each.letters]
    assert len(values(cluster, topics.DEAD_LETTER)) == len(letters) > 0
    assert sum(one.position.counts.misplaced for one in states) > 0


def values(cluster: Cluster, topic: topics.Topic, partition: int | None = None) -> list[bytes]:
    return [one.value for one in cluster.read(topic, partition)]
