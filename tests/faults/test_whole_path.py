"""Events in, triggers out, while scorers are killed, paused and fenced and the changelog compacted.

`after` is one deployment that went through all of it; every test looks for one promise in it.
"""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from services.campaigner.bootstrap import wall_clock
from services.scorer.ports import Restored
from shared import topics
from shared.domain.campaign_outputs import Decision, Trigger
from shared.domain.named_segments import SegmentChange
from shared.domain.rfm import SEGMENTS
from tests.faults.agreement import gauges
from tests.faults.expected import batches, decisions, sums
from tests.faults.scenario import EXPECTED_EXITS, Aftermath, wait_for
from tests.support.oracle import (
    Expected,
    assert_same_outputs,
    assert_same_states,
    scores,
    trainings,
    transitions,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
]


def test_every_fault_was_met(after: Aftermath) -> None:
    kinds = Counter(fault.split(" one")[0].split(" other")[0] for fault in after.faults)
    assert kinds["kill -9"] >= 6
    assert {"kill -9 ingest", "kill -9 campaigner"} <= set(after.faults)
    assert kinds["SIGSTOP"] == kinds["compaction"] == 1
    for exits in after.exits.values():
        assert exits.count(-9) >= 3
        assert set(exits) <= EXPECTED_EXITS


def test_every_accepted_event_is_in_the_state_once(
    after: Aftermath, states: list[Restored]
) -> None:
    """Counted without our code: events and money of each customer."""
    assert sums(states) == after.accepted.sums()


def test_what_became_of_each_event_adds_up(after: Aftermath, states: list[Restored]) -> None:
    counts = [one.position.counts for one in states]
    assert sum(one.applied for one in counts) == len(after.accepted.by_id)
    assert sum(one.dead_letters for one in counts) == after.garbage
    for one in counts:
        parts = one.applied + one.duplicates + one.dead_letters + one.misplaced + one.controls
        assert one.accepted == parts


def test_states_are_those_of_an_undisturbed_fold(
    states: list[Restored], expected: list[Expected]
) -> None:
    for found, wanted in zip(states, expected, strict=True):
        assert found.position == wanted.position
        assert_same_states(found.table, wanted.partition.table)


def test_everybody_counts_the_same_customers_in_each_stage_and_segment(after: Aftermath) -> None:
    counted = after.counted
    assert counted.scorers == counted.log
    assert counted.campaigner == counted.log
    assert counted.sql == counted.log
    stages = [number for (of, _), number in counted.log.items() if of == "stage"]
    assert sum(stages) == len(after.accepted.sums())
    segments = {name for of, name in counted.log if of == "segment"}
    assert len(stages) > 1
    assert len(segments) > 1


def values(after: Aftermath, topic: topics.Topic, partition: int | None = None) -> list[bytes]:
    return [record.value for record in after.read(topic, partition)]


def test_every_output_left_once(after: Aftermath, expected: list[Expected]) -> None:
    assert sum(len(one.scores) for one in expected) > 1_000
    for number, wanted in enumerate(expected):
        history = scores(values(after, topics.SCORE_HISTORY, number))
        assert_same_outputs(history, wanted.scores)
        profiles = scores(values(after, topics.CUSTOMER_SCORES, number))
        assert {one.customer: one for one in profiles} == {
            one.customer: one for one in wanted.scores
        }
        moves = transitions(values(after, topics.LIFECYCLE_TRANSITIONS, number))
        assert_same_outputs(moves, wanted.transitions)
    examples = [
        one for each in trainings(values(after, topics.TRAINING_EXAMPLES)) for one in each.examples
    ]
    assert_same_outputs(examples, [one for each in expected for one in each.examples])


def test_every_dead_letter_left_once(after: Aftermath, expected: list[Expected]) -> None:
    def place(headers: dict[str, bytes]) -> tuple[int, int]:
        return int(headers["partition"]), int(headers["offset"])

    found = [place(dict(one.headers)) for one in after.read(topics.DEAD_LETTER)]
    wanted = [(one.partition, one.offset) for each in expected for one in each.letters]
    assert sorted(found) == sorted(wanted)
    assert len(found) == after.garbage


def test_every_expected_trigger_left_and_no_other(
    after: Aftermath, expected: list[Expected]
) -> None:
    wanted = decisions(after.cluster, [one.scores for one in expected], wall_clock())
    outcomes = {one.id: one.outcome for one in wanted}
    assert len(outcomes) == len(wanted)
    fired = {one.id for one in wanted if one.outcome == "fired"}
    assert len(fired) > 20
    assert {"fired", "held_out"} <= set(outcomes.values())
    # Killed after Kafka had it and before SQL knew, it sends again: the same, under the same id.
    wait_for(lambda: fired <= set(triggers(after)), "every trigger is there")
    assert set(triggers(after)) == fired
    wait_for(lambda: set(outcomes.items()) <= set(decided(after)), "every decision is there")
    assert set(decided(after)) == set(outcomes.items())


def test_every_entry_and_exit_is_told_and_members_are_counted(
    after: Aftermath, expected: list[Expected]
) -> None:
    wanted = list(batches(after.cluster, [one.scores for one in expected], wall_clock()))
    ids = {change.id: change for one in wanted for change in one.changes}
    assert len(ids) > 50
    assert {change.change for change in ids.values()} == {"entered", "left"}
    wait_for(lambda: set(told(after)) >= set(ids), "every entry and exit is there")
    assert told(after) == ids
    members = Counter(
        segment for one in wanted for (_, segment), known in one.memberships.items() if known.member
    )
    assert {"risky", "inactive"} <= set(members)
    wait_for(lambda: counted(after) == (members, members), "API and metrics count the members")


def told(after: Aftermath) -> dict[str, SegmentChange]:
    """Return entries and exits by their ids: one that is told twice is the same twice."""
    found = after.cluster.read(topics.SEGMENT_CHANGES)
    changes = [msgspec.json.decode(one.value, type=SegmentChange) for one in found]
    return {each.id: each for each in changes}


def counted(after: Aftermath) -> tuple[Counter[str], Counter[str]]:
    """Return members of segments by conditions, as SQL and as metrics have them."""
    page = after.campaigner.get("/v1/segments") or {"segments": {}}
    gauge = gauges(after.campaigner, "tenure_campaigner_segment_customers")
    shown = {name: number for (_, name), number in gauge.items()}
    return members_of(page["segments"]), members_of(shown)


def members_of(counts: dict[str, int]) -> Counter[str]:
    return Counter(
        {
            name: number
            for name, number in counts.items()
            if number and name not in SEGMENTS and not name.startswith("value-")
        }
    )


def decided(after: Aftermath) -> list[tuple[str, str]]:
    found = after.cluster.read(topics.CAMPAIGN_DECISIONS)
    decisions_ = [msgspec.json.decode(one.value, type=Decision) for one in found]
    return [(one.id, one.outcome) for one in decisions_]


def triggers(after: Aftermath) -> list[str]:
    found = after.cluster.read(topics.RETENTION_TRIGGERS)
    return [msgspec.json.decode(one.value, type=Trigger).decision for one in found]
