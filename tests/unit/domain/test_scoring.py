"""Scores: when they are emitted, what moved them, and that anyone can compute them again."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.churn_scorer import Scorer
from shared.domain.features import feature_matrix
from shared.domain.lifecycle import STAGES
from shared.domain.outputs import Score
from shared.domain.partition import Partition, Served, cold_model
from shared.domain.policy import DAY_MS
from shared.domain.scoring import BANDS
from shared.domain.visits import expected_visits
from tests.unit.domain.happenings import (
    MODELS,
    STATUSES,
    Happening,
    elsewhere,
    happenings,
    histories,
    to_event,
    to_records,
)
from tests.unit.domain.histories import (
    HOUR_MS,
    POLICY,
    T0,
    account,
    activation,
    balanced,
    contact,
    cost,
    live,
    partition,
    purchase,
    record,
    row_of,
    run,
    served,
    tick,
)

#: After its time, so long that an event is history when it is appended.
LATER_MS = 2 * HOUR_MS
ALL_MODELS = {0: cold_model(), **MODELS}


def band(risk: float) -> int:
    return int(np.floor(risk * BANDS + 1e-9))


def risk_now(target: Partition, customer: str, model: Served) -> float:
    rows = target.table.rows[[target.table.find(customer)]]
    x = feature_matrix(rows, np.array([target.now]))
    return float(model.scorer.predict(x)[0])


@settings(max_examples=60, deadline=None)
@given(histories)
def test_a_risk_can_be_computed_again_from_its_features_and_model(
    history: list[list[Happening]],
) -> None:
    records = to_records(history)
    found = run(partition(owner=elsewhere), records, models=MODELS).scores
    for score in found:
        scorer = ALL_MODELS[score.model].scorer
        features = np.array([score.features])
        assert scorer.predict(features)[0] == score.risk
        assert scorer.predict_closed(features)[0] == score.p_closed
        assert score.p_churn == 1 - (1 - score.risk) * (1 - score.p_closed)
        spend = scorer.spend(features, np.array([score.risk]))[0]
        assert score.expected_spend == (0.0 if score.closed else spend)
        visits = expected_visits(features, np.array([score.risk]), POLICY.horizon_days)[0]
        assert score.expected_visits == (0.0 if score.closed else visits)


def test_the_value_of_a_customer_is_in_its_score() -> None:
    target = partition(policy=replace(POLICY, value_days=56, discount_rate=0.0))
    bought = [purchase("ada", T0 + day * DAY_MS, 10.0, margin=0.25) for day in range(5)]
    *_, score = run(target, live([*bought, contact("ada", T0 + 5 * DAY_MS)])).scores
    assert score.expected_spend > 0
    assert score.clv == pytest.approx(0.25 * score.expected_spend * (2 - score.p_churn))


def test_a_closed_account_is_expected_to_spend_nothing() -> None:
    events = [purchase("ada", T0), account("ada", T0 + 1, "closed")]
    *_, score = run(partition(), live(events)).scores
    assert (score.closed, score.expected_spend, score.clv) == (True, 0.0, 0.0)
    assert score.expected_visits == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(happenings, min_size=1, max_size=25))
def test_history_is_scored_exactly_when_something_changed(happened: list[Happening]) -> None:
    """Account and contact events are always told: the campaigner hears of them by a score."""
    target, clock, last = partition(), T0, dict[str, Score]()
    for offset, one in enumerate(happened):
        clock += one.gap
        applied = target.counts.applied
        event = to_event(one, clock - max(one.delay, 0))
        history = run(target, [record(offset, [event], clock + LATER_MS)], models=MODELS)
        told = one.kind in {
            *STATUSES,
            "rated",
            "complained",
            "closed",
            "activated",
            "consent_given",
            "moved_to_market",
            "contact",
        }
        for score in history.scores:
            before = last.get(score.customer)
            by_telling = told and score.cause == "event" and score.customer == one.customer
            assert by_telling or before is None or shown(before) != shown(score)
            last[score.customer] = score
        if target.counts.applied > applied:
            assert_shows(last[one.customer], target, one.customer)


def shown(score: Score) -> tuple[object, ...]:
    return band(score.risk), score.stage, score.segment, score.closed, score.profile


def assert_shows(score: Score, target: Partition, customer: str) -> None:
    """Assert that a customer's last score tells its band, stage and profile as they are now."""
    row, index = row_of(target, customer), target.table.find(customer)
    assert index is not None
    assert band(score.risk) == band(risk_now(target, customer, target.model))
    assert score.stage == STAGES[row["stage"]]
    assert score.profile == target.table.profile(index)
    assert score.closed == bool(row["closed"])


def test_a_score_shows_the_customer() -> None:
    target = partition()
    events = [
        purchase("a", T0, 20.0, margin=0.5),
        purchase("a", T0 + DAY_MS, -5.0, margin=0.5),
        cost("a", T0 + DAY_MS, 3.0),
        contact("a", T0 + DAY_MS),
    ]
    score = run(target, live(events)).scores[-1]
    assert (score.customer, score.at, score.cause) == ("a", T0 + DAY_MS, "event")
    assert (score.stage, score.stage_since) == ("onboarding", T0)
    assert (score.first_activity, score.last_activity, score.visits) == (T0, T0, 1)
    assert (score.spend, score.revenue, score.margin, score.cost) == (20.0, 15.0, 7.5, 3.0)
    assert (score.closed, score.model) == (False, 0)
    assert score.reasons


@pytest.mark.parametrize("event", [contact("a", T0 + 1), account("a", T0 + 1, "settled")])
def test_contacts_and_account_events_are_told(event: dict[str, object]) -> None:
    target = partition()
    run(target, live([purchase("a", T0)]))
    assert [one.cause for one in run(target, live([event], offset=1)).scores] == ["event"]


def test_history_that_changes_nothing_to_be_seen_is_not_told() -> None:
    target = partition()
    run(target, live([purchase("a", T0)]))
    events = [purchase("a", T0 + 1), cost("a", T0 + 2, 1.0)]
    assert run(target, [record(1, events, T0 + LATER_MS)]).scores == []


def test_silence_is_told_band_by_band() -> None:
    target = partition()
    end = T0 + 40 * DAY_MS
    weekly = [purchase("a", T0 + n * 7 * DAY_MS) for n in range(3)]
    found = run(target, live([*weekly, tick(end)])).scores
    silent = [one for one in found if one.at > T0 + 15 * DAY_MS]
    assert len(silent) >= 5
    assert {one.cause for one in silent} == {"review"}
    assert [one.risk for one in silent] == sorted(one.risk for one in silent)
    bands = [band(one.risk) for one in silent]
    seen = [(one, stage) for one, stage in zip(bands, (s.stage for s in silent), strict=True)]
    assert len(seen) == len(set(seen))


# -- a change of model

CROWD = [f"c{n}" for n in range(40)]


def crowd() -> Partition:
    """Return customers of all kinds, one of them without any activity."""
    target = partition()
    events = [account("lead", T0, "lead")]
    for n, customer in enumerate(CROWD):
        events += [purchase(customer, T0 + n * DAY_MS // 3 + m * DAY_MS) for m in range(n % 5 + 1)]
    ordered = sorted(events, key=lambda one: one["time"])
    run(target, [*live(ordered), *live([tick(T0 + 20 * DAY_MS)], offset=len(ordered))])
    return target


def test_what_the_model_alone_moved_says_so() -> None:
    target = crowd()
    at = target.now + 3 * HOUR_MS
    run(target, live([tick(at - 1)], target.offset))
    old, new = target.model, served(4, lean=1.0)
    told = {name: int(row_of(target, name)["band"]) for name in target.table.ids}
    history = run(target, live([activation(at, 4)], target.offset), models={4: new})
    before = {name: risk_now(target, name, old) for name in target.table.ids}
    after = {name: risk_now(target, name, new) for name in target.table.ids}
    settled = {name for name in before if band(before[name]) != told[name]}
    moved = {name for name in before if band(before[name]) != band(after[name])}
    activated = [one for one in history.scores if one.at == at]
    by_cause = [(cause, {one.customer: one for one in group})
                for cause, group in groupby(activated, key=lambda one: one.cause)]  # fmt: skip
    assert [cause for cause, _ in by_cause] == ["review", "model"]
    assert set(by_cause[0][1]) == settled
    assert set(by_cause[1][1]) == moved
    assert "lead" in moved
    assert 0 < len(settled) < len(CROWD) / 2
    for name, score in by_cause[1][1].items():
        assert (score.model, score.risk) == (4, after[name])
    for name, score in by_cause[0][1].items():
        assert (score.model, score.risk) == (0, before[name])
    assert history.transitions == []
    assert {key.decode() for key in history.changelog} >= settled | moved


def test_after_a_change_of_model_time_moves_only_what_time_moves() -> None:
    """A prospect's risk does not depend on time: what its next reviews say is nothing new."""
    target = crowd()
    events = [activation(target.now, 4), tick(target.now + 3 * DAY_MS)]
    history = run(target, live(events, target.offset), models={4: served(4, lean=2.0)})
    assert [one.cause for one in history.scores if one.customer == "lead"] == ["model"]


def test_scores_after_an_activation_in_mid_record_are_the_new_models() -> None:
    target = partition()
    events = [purchase("a", T0), activation(T0, 2), purchase("b", T0), activation(T0, 3)]
    found = run(target, [record(0, [*events, purchase("c", T0)], T0)], models=MODELS).scores
    first = {one.customer: one.model for one in found if one.cause == "event"}
    assert first == {"a": 0, "b": 2, "c": 3}
    assert target.position.model == 3


@pytest.mark.parametrize("version", [0, 1, 2])
def test_an_older_or_equal_version_is_ignored(version: int) -> None:
    target = partition()
    run(target, live([purchase("a", T0), activation(T0, 2)]), models=MODELS)
    history = run(target, live([activation(T0, version)], 2), models={version: served(version, 9)})
    assert target.model == MODELS[2]
    assert (history.scores, history.refused_models) == ([], [])
    assert balanced(target.counts)


def test_a_model_that_is_not_to_be_had_is_refused_and_the_last_one_serves() -> None:
    target = partition()
    run(target, live([purchase("a", T0), activation(T0, 2)]), models=MODELS)
    history = run(target, live([activation(T0, 7), purchase("b", T0)], 2), models={})
    assert history.refused_models == [7]
    assert target.model == MODELS[2]
    assert [one.model for one in history.scores] == [2]
    assert target.counts.controls == 2
    run(target, live([activation(T0, 3)], 4), models=MODELS)
    assert target.position.model == 3


def test_the_cold_model_is_the_stated_heuristic() -> None:
    scorer = cold_model().scorer
    assert isinstance(scorer, Scorer)
    assert not scorer.warm
    assert cold_model().version == 0
