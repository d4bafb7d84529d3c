"""What the topics hold is enough to come to the same states, scores and models again, to the bit.

On the deployment of `after`, which went through every fault.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import msgspec
import numpy as np
import pytest
from kafka import KafkaAdminClient

from services.scorer.ports import Restored
from shared import topics
from shared.domain.learner import Learner, Snapshot
from shared.domain.outputs import Score, Training
from shared.domain.scoring import cold_model
from shared.schemas.snapshots import encode_snapshot
from tests.faults.expected import folded, published, restored, served, sums
from tests.faults.scenario import PARTITIONS, Aftermath, start_scorer, wait_for
from tests.support.cluster import Cluster
from tests.support.oracle import assert_same_states, scores, trainings

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
]

TrainingLog = list[tuple[int, Training]]


def test_any_score_can_be_computed_again(after: Aftermath) -> None:
    models = served(published(after.read(topics.CHURN_MODELS), after.cluster))
    models[0] = cold_model(after.cluster.settings.policy().horizon_days)
    by_model: dict[int, list[Score]] = defaultdict(list)
    for one in scores([record.value for record in after.read(topics.SCORE_HISTORY)]):
        by_model[one.model].append(one)
    assert len(by_model) > 2, "no model was ever activated"
    for version, emitted in by_model.items():
        scorer = models[version].scorer
        together = scorer.predict(np.array([one.features for one in emitted]))
        assert together.tolist() == [one.risk for one in emitted]
        alone = [float(scorer.predict(np.array([one.features]))[0]) for one in emitted]
        assert alone == [one.risk for one in emitted]


@pytest.fixture(scope="module")
def training_log(after: Aftermath) -> TrainingLog:
    records = after.read(topics.TRAINING_EXAMPLES)
    log = trainings([one.value for one in records])
    return list(zip([one.offset for one in records], log, strict=True))


def learned(learner: Learner, log: TrainingLog) -> list[bytes]:
    """Feed a log; return the snapshots that are published on the way."""
    return [bits(one) for offset, training in log for one in learner.take(offset, training)]


def bits(snapshot: Snapshot) -> bytes:
    return encode_snapshot(b"", snapshot, b"")[0]


def final(learner: Learner) -> bytes:
    """Return all that a learner knows."""
    parts = (learner.model, learner.metrics, learner.metrics_recent_customers)
    return msgspec.json.encode([part.dump() for part in parts], order="deterministic")


def test_trainers_that_were_killed_published_what_one_would_have_that_was_not(
    after: Aftermath, training_log: TrainingLog
) -> None:
    found = [
        bits(one)
        for _, one in sorted(published(after.read(topics.CHURN_MODELS), after.cluster).items())
    ]
    expected = learned(Learner(after.cluster.settings.policy().horizon_days), training_log)
    assert len(found) > 2
    assert expected[: len(found)] == found


def test_a_trainer_restarted_from_any_snapshot_ends_in_the_same_model(
    after: Aftermath, training_log: TrainingLog
) -> None:
    undisturbed = Learner(after.cluster.settings.policy().horizon_days)
    expected = learned(undisturbed, training_log)
    for version, snapshot in published(after.read(topics.CHURN_MODELS), after.cluster).items():
        resumed = Learner.resume(snapshot)
        rest = [(offset, one) for offset, one in training_log if offset >= snapshot.resume]
        assert learned(resumed, rest) == expected[version:]
        assert final(resumed) == final(undisturbed)


def test_a_scorer_that_has_nothing_but_kafka_goes_on_from_the_same_states(
    after: Aftermath, states: list[Restored]
) -> None:
    """It runs in an empty folder, and what it has is what was there."""
    found = _run_alone(after, "without-files")
    for number, before in enumerate(states):
        assert found[number]["customers"] == len(before.table)
        for name in ("applied", "duplicates", "dead_letters", "misplaced"):
            assert found[number]["counts"][name] == getattr(before.position.counts, name)
    _assert_undisturbed(after)


def test_events_alone_lead_to_the_same_states_again(
    after: Aftermath, states: list[Restored]
) -> None:
    """By the procedure of docs/operations.md, "States look wrong"."""
    _delete(after.cluster, topics.CUSTOMER_STATE)
    after.cluster.create_topics()
    _run_alone(after, "rebuilding")
    _assert_undisturbed(after)
    assert sums(restored(after.cluster)) == after.accepted.sums()


def _run_alone(after: Aftermath, name: str) -> dict[int, Any]:
    """Run a scorer until it has read what is there; return what it says of each partition."""
    last = [
        after.cluster.read(topics.CUSTOMER_EVENTS, number)[-1].offset
        for number in range(PARTITIONS)
    ]
    with ExitStack() as stack:
        scorer = start_scorer(stack, after.cluster, after.folder, name)
        wait_for(lambda: _is_through(scorer.partitions(), last), "all is read")
        status = scorer.get("/status")["partitions"]
        assert scorer.stop() == 0
    return {int(number): one for number, one in status.items()}


def _is_through(offsets: dict[int, int], last: list[int]) -> bool:
    return all(offsets.get(number, 0) > offset for number, offset in enumerate(last))


def _assert_undisturbed(after: Aftermath) -> None:
    """Compare the states with a fold of the log, ticks of the time since included."""
    found = restored(after.cluster)
    wanted = folded(after.cluster, [one.position.offset for one in found])
    for one, other in zip(found, wanted, strict=True):
        assert one.position == other.position
        assert_same_states(one.table, other.partition.table)


def _delete(cluster: Cluster, topic: topics.Topic) -> None:
    name = cluster.settings.topic(topic.name)
    admin = KafkaAdminClient(bootstrap_servers=cluster.settings.kafka_bootstrap_servers)
    try:
        admin.delete_topics([name])
        wait_for(lambda: name not in admin.list_topics(), "it is gone")
    finally:
        admin.close()
