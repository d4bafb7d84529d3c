"""A rehearsal leaves out what nobody reads, and gives the same examples."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.batch import Record, read_batch
from shared.domain.emission import Effects
from shared.domain.identity import hash64
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, Policy
from tests.unit.domain.happenings import MODELS, Happening, elsewhere, histories, to_records
from tests.unit.domain.histories import POLICY, T0, activation, groups, purchase, record, tick

POLICIES = [POLICY, replace(POLICY, horizon_ms=91 * DAY_MS, cadence_days=7)]


def examples(
    records: list[Record], policy: Policy, cuts: set[int], *, rehearsal: bool
) -> tuple[list[Any], list[int], Partition]:
    """Return the examples without their origins, and their customers' hashes."""
    target = Partition(0, elsewhere, policy, rehearsal=rehearsal)
    found, customers = [], []
    for group in groups(records, cuts):
        effects = target.apply(read_batch(0, group, policy.future_tolerance_ms), MODELS)
        found += [msgspec.structs.astuple(one)[1:] for one in effects.examples]
        customers += effects.example_of
    return found, customers, target


@pytest.mark.parametrize("policy", POLICIES, ids=["28/14", "91/7"])
@settings(max_examples=60, deadline=None)
@given(history=histories, cuts=st.sets(st.integers(1, 12)))
def test_the_examples_are_those_of_the_scorer(
    policy: Policy, history: list[list[Happening]], cuts: set[int]
) -> None:
    records = to_records(history)
    end = records[-1].timestamp + 200 * DAY_MS
    records.append(record(len(records), [tick(end)], end))
    scored, scored_of, scorer = examples(records, policy, set(), rehearsal=False)
    rehearsed, rehearsed_of, rehearsal = examples(records, policy, cuts, rehearsal=True)
    assert rehearsed == scored
    assert rehearsed_of == scored_of
    assert rehearsal.counts == scorer.counts
    assert rehearsal.model.version == scorer.model.version


def rehearse(end: int) -> Effects:
    target = Partition(0, elsewhere, POLICY, rehearsal=True)
    events = [purchase(who, T0 + n) for n, who in enumerate("abc")]
    records = [record(0, [*events, activation(T0, 1), tick(end)], end)]
    return target.apply(read_batch(0, records, POLICY.future_tolerance_ms), MODELS)


def test_nothing_else_is_made() -> None:
    effects = rehearse(T0 + 100 * DAY_MS)
    assert effects.examples
    assert [effects.scores, effects.states, effects.transitions] == [[], [], []]


def test_each_example_is_told_whose_it_is() -> None:
    effects = rehearse(T0 + 43 * DAY_MS)  # a snapshot within 14 days, labelled 29 days later
    assert sorted(set(effects.example_of)) == sorted(hash64(who) for who in "abc")
    assert len(effects.example_of) == len(effects.examples)
