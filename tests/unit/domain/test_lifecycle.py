"""Stages: where silence leads and when, how a customer comes back, and that nobody flaps."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import lifecycle
from shared.domain.customer import ROW, Rows
from shared.domain.features import fold_activity
from shared.domain.lifecycle import REASONS, STAGES, TRANSITIONS, next_stage, use_ratio
from shared.domain.outputs import Transition
from shared.domain.policy import DAY_MS, SLOT_MS, Policy
from shared.domain.thresholds import LifecycleThresholds, Thresholds
from tests.unit.domain.happenings import (
    MODELS,
    Happening,
    elsewhere,
    histories,
    to_records,
    without_erasures,
)
from tests.unit.domain.histories import (
    HOUR_MS,
    POLICY,
    T0,
    Json,
    account,
    live,
    partition,
    purchase,
    row_of,
    run,
    tick,
    usage,
)

WEEK = 7 * DAY_MS
DEFAULT = Thresholds()


def moves(events: list[Json], policy: Policy = POLICY) -> list[Transition]:
    found = run(partition(policy), live(events), range(len(events)), policy=policy).transitions
    assert all(is_known(move) for move in found)
    return found


def is_known(move: Transition) -> bool:
    return STAGES.index(move.after) in TRANSITIONS[STAGES.index(move.before)]


def weekly(weeks: int, start: int = T0, customer: str = "a") -> list[Json]:
    return [purchase(customer, start + n * WEEK) for n in range(weeks)]


def mark_after(at: int) -> int:
    """Return the first quarter-hour mark at which more than ``at`` has passed."""
    return at // SLOT_MS * SLOT_MS + SLOT_MS


# -- silence


@pytest.mark.parametrize("horizon_days", [1, 3, 7, 28, 90])
@pytest.mark.parametrize("ticks", ["one", "many"])
def test_silence_alone_leads_to_dormant_and_lapsed_at_the_right_times(
    horizon_days: int, ticks: str
) -> None:
    horizon = horizon_days * DAY_MS
    policy = replace(POLICY, horizon_ms=horizon)
    gap = horizon // 4
    visits = [purchase("a", T0 + 11 * HOUR_MS + n * max(gap, DAY_MS)) for n in range(12)]
    first, last = (round(at_of(event) * 1000) for event in (visits[0], visits[-1]))
    end = last + horizon + 2 * DAY_MS
    step = SLOT_MS if ticks == "many" and horizon_days < 10 else end - last
    silence = [tick(at) for at in range(last + step, end + 1, step)]
    found = moves([*visits, *silence], policy)

    days = len({round(at_of(event) * 1000) // DAY_MS for event in visits})
    rhythm = (last - first + horizon / 2) / days
    dormant = last + round(min(max(4 * rhythm, horizon / 8), 0.75 * horizon))
    ends = [(move.after, move.at) for move in found if move.at > last]
    assert ends[-2:] == [
        ("dormant", mark_after(dormant)),
        ("lapsed", mark_after(last + horizon)),
    ]


def at_of(event: Json) -> float:
    return datetime.fromisoformat(event["time"]).replace(tzinfo=UTC).timestamp()


def test_a_steady_customer_grows_up_and_then_falls_silent() -> None:
    found = moves([*weekly(30), tick(T0 + 30 * WEEK + 90 * DAY_MS)])
    path = [found[0].before, *(move.after for move in found)]
    assert path[:4] == ["prospect", "onboarding", "growth", "maturity"]
    assert path[-2:] == ["dormant", "lapsed"]
    assert found[1].at == T0 + round(DEFAULT.onboarding_days * DAY_MS)
    assert found[2].at == T0 + round(DEFAULT.growth_days * DAY_MS)


def test_a_transition_says_how_long_the_former_stage_took() -> None:
    found = moves([*weekly(20), tick(T0 + 20 * WEEK + 90 * DAY_MS)])
    for before, after in pairwise(found):
        assert after.before == before.after
        assert after.lasted_ms == after.at - before.at
    assert found[0].lasted_ms == 0


def test_a_review_comes_before_the_event_that_moves_time_past_it() -> None:
    back = T0 + 60 * DAY_MS
    found = moves([purchase("a", T0), purchase("a", back)])
    path = ["onboarding", "decline", "dormant", "lapsed", "won_back"]
    assert [move.after for move in found] == path
    assert [move.at for move in found[1:]] == [
        T0 + round(DEFAULT.onboarding_days * DAY_MS),
        mark_after(T0 + 21 * DAY_MS),
        mark_after(T0 + 28 * DAY_MS),
        back,
    ]
    assert [move.origin.offset for move in found] == [0, 1, 1, 1, 1]
    ordinals = [move.origin.ordinal for move in found[1:]]
    assert ordinals == sorted(set(ordinals))


CROWD = [f"c{n}" for n in range(20)]  # reviewed at many times of the day


def test_a_short_horizon_ends_in_time_for_everyone() -> None:
    policy = replace(POLICY, horizon_ms=DAY_MS)
    last = T0 + 11 * HOUR_MS
    found = moves([*(purchase(who, last) for who in CROWD), tick(last + 3 * DAY_MS)], policy)
    for stage, silence in (("dormant", 18 * HOUR_MS), ("lapsed", DAY_MS)):
        ends = {move.customer: move.at for move in found if move.after == stage}
        assert ends == dict.fromkeys(CROWD, mark_after(last + silence))


def test_late_events_that_make_the_rhythm_faster_bring_its_end_forward() -> None:
    last = T0 + 20 * DAY_MS
    visits = [purchase(who, last) for who in CROWD]
    late = [purchase(who, last - n * DAY_MS) for who in CROWD for n in range(1, 10)]
    end = last + round(4 * (9 * DAY_MS + POLICY.horizon_ms / 2) / 10)  # 9.2 days
    events = [*visits, tick(end - HOUR_MS), *late, tick(end + DAY_MS)]
    found = {move.customer: move.at for move in moves(events) if move.after == "dormant"}
    assert found == dict.fromkeys(CROWD, mark_after(end))


def test_a_fast_rhythm_allows_an_eighth_of_the_horizon() -> None:
    policy = replace(POLICY, horizon_ms=80 * DAY_MS)
    visits = [purchase("a", T0 + n * DAY_MS) for n in range(60)]
    found = moves([*visits, tick(T0 + 100 * DAY_MS)], policy)
    assert (found[-1].after, found[-1].at) == ("dormant", mark_after(T0 + 69 * DAY_MS))


# -- coming back


def test_a_return_wins_back_once() -> None:
    back = T0 + 100 * DAY_MS
    found = moves([*weekly(4), *weekly(12, start=back)])
    stages = [move.after for move in found]
    assert stages.count("lapsed") == stages.count("won_back") == 1
    won = found[stages.index("won_back")]
    assert (won.before, won.at, won.reason) == ("lapsed", back, "active again after lapsing")
    after = found[stages.index("won_back") + 1]
    assert after.at >= back + round(DEFAULT.onboarding_days * DAY_MS)
    assert after.after in {"growth", "maturity", "decline"}


def test_each_lapse_can_be_won_back() -> None:
    returns = [purchase("a", T0 + n * 60 * DAY_MS) for n in range(4)]
    stages = [move.after for move in moves(returns)]
    assert stages.count("won_back") == 3


@pytest.mark.parametrize(
    ("voluntary", "reason"),
    [
        (True, "account closed by the customer"),
        (None, "account closed by the customer"),
        (False, "account closed by the operator, or with payments open"),
    ],
)
def test_a_closed_account_has_lapsed(voluntary: bool | None, reason: str) -> None:
    closed = account("a", T0 + WEEK, "closed", voluntary=voluntary)
    found = moves([purchase("a", T0), closed, purchase("a", T0 + WEEK + 1)])
    assert [(move.after, move.reason) for move in found[1:]] == [("lapsed", reason)]


def test_an_account_opened_again_is_won_back_or_a_prospect_again() -> None:
    closed, opened = account("a", T0 + 1, "closed"), account("a", T0 + 2, "opened")
    assert [move.after for move in moves([purchase("a", T0), closed, opened])] == [
        "onboarding",
        "lapsed",
        "won_back",
    ]
    assert [move.after for move in moves([closed, opened, purchase("a", T0 + 3)])] == [
        "lapsed",
        "prospect",
        "onboarding",
    ]


def test_whoever_did_nothing_yet_is_a_prospect() -> None:
    target = partition()
    nothing = [
        account("a", T0, "lead"),
        usage("a", T0 + 1, initiated_by="system"),
        purchase("a", T0 + 2, -5.0),
        tick(T0 + 200 * DAY_MS),
    ]
    assert run(target, live(nothing)).transitions == []
    assert target.stages()["prospect"] == 1


# -- the table


policies = st.builds(
    lambda horizon, onboarding, growth: replace(
        POLICY,
        horizon_ms=horizon * DAY_MS,
        thresholds=LifecycleThresholds(
            default=Thresholds(onboarding_days=onboarding, growth_days=onboarding + growth)
        ),
    ),
    st.sampled_from([1, 7, 28]),
    st.sampled_from([1, 7, 21]),
    st.sampled_from([1, 30]),
)


@settings(max_examples=60, deadline=None)
@given(histories, policies)
def test_only_known_transitions_are_made(history: list[list[Happening]], policy: Policy) -> None:
    records = to_records(without_erasures(history))
    target = partition(policy, owner=elsewhere)
    found = run(target, records, range(len(records)), MODELS, policy).transitions
    where = dict.fromkeys(target.table.ids, "prospect")
    for move in found:
        assert move.before == where[move.customer]
        assert is_known(move)
        assert move.reason in REASONS
        where[move.customer] = move.after
    for customer, stage in where.items():
        assert STAGES[row_of(target, customer)["stage"]] == stage


def test_every_stage_leads_somewhere_and_is_reached() -> None:
    reached = {after for targets in TRANSITIONS.values() for after in targets}
    assert set(TRANSITIONS) == set(range(len(STAGES))) == reached


# -- hysteresis


def steady(visits: int = 30, stage: int = lifecycle.MATURITY) -> Rows:
    row = np.zeros(1, ROW)
    for n in range(visits):
        fold_activity(row, np.array([T0 + n * 4 * DAY_MS]), np.array([0]))
    row["stage"] = stage
    return row


def stage_at(row: Rows, risk: float, since: int = DAY_MS) -> int:
    now = row["last_at"] + since
    after, _ = next_stage(row, now, np.array([risk]), POLICY)
    return int(after[0])


@pytest.mark.parametrize(
    ("risk", "falls", "recovers"),
    [(0.49, False, True), (0.51, False, False), (0.59, False, False), (0.6, True, False)],
)
def test_risk_must_fall_well_below_the_threshold_to_recover(
    risk: float, falls: bool, recovers: bool
) -> None:
    assert (stage_at(steady(), risk) == lifecycle.DECLINE) is falls
    assert (stage_at(steady(stage=lifecycle.DECLINE), risk) == lifecycle.MATURITY) is recovers


@pytest.mark.parametrize(
    ("ratio", "stage", "expected"),
    [
        (1.26, lifecycle.MATURITY, lifecycle.GROWTH),
        (1.24, lifecycle.MATURITY, lifecycle.MATURITY),
        (1.11, lifecycle.GROWTH, lifecycle.GROWTH),
        (1.09, lifecycle.GROWTH, lifecycle.MATURITY),
        (0.51, lifecycle.MATURITY, lifecycle.MATURITY),
        (0.49, lifecycle.MATURITY, lifecycle.DECLINE),
        (0.64, lifecycle.DECLINE, lifecycle.DECLINE),
        (0.66, lifecycle.DECLINE, lifecycle.MATURITY),
    ],
)
def test_use_must_go_well_past_its_threshold_to_come_back(
    ratio: float, stage: int, expected: int
) -> None:
    row = steady(stage=stage)
    now = row["last_at"] + DAY_MS
    row["decay30"] *= ratio / use_ratio(row, now)
    assert use_ratio(row, now)[0] == pytest.approx(ratio)
    assert stage_at(row, 0.1) == expected


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 120 * DAY_MS), min_size=1, max_size=12),
    st.integers(0, 40 * DAY_MS),
    st.floats(0, 1),
    st.sampled_from(range(len(STAGES))),
)
def test_nobody_moves_twice_when_nothing_changes(
    visits: list[int], since: int, risk: float, stage: int
) -> None:
    row = np.zeros(1, ROW)
    for at in visits:
        fold_activity(row, np.array([T0 + at]), np.array([0]))
    now = row["last_at"] + since
    row["stage"], row["stage_since"] = stage, now
    once, _ = next_stage(row, now, np.array([risk]), POLICY)
    row["stage"] = once
    twice, _ = next_stage(row, now, np.array([risk]), POLICY)
    assert once == twice


@settings(max_examples=100)
@given(st.lists(st.floats(0.51, 0.59), min_size=2, max_size=20))
def test_risk_around_the_threshold_does_not_flap(risks: list[float]) -> None:
    row, stages = steady(), list[int]()
    for risk in [0.6, *risks]:
        row["stage"] = stage_at(row, risk)
        stages.append(int(row["stage"][0]))
    assert set(stages) == {lifecycle.DECLINE}


def test_few_visits_say_nothing_about_falling_use() -> None:
    row = steady(visits=3)
    row["decay30"] = 0.01
    assert use_ratio(row, row["last_at"] + DAY_MS)[0] < DEFAULT.decline_ratio
    assert stage_at(row, 0.1) != lifecycle.DECLINE


def test_a_steady_use_has_a_ratio_of_one() -> None:
    row = steady(visits=200)
    assert use_ratio(row, row["last_at"] + 2 * DAY_MS)[0] == pytest.approx(1, abs=0.05)


def test_a_young_customer_is_not_taken_for_a_growing_one() -> None:
    row = steady(visits=5)
    assert use_ratio(row, row["last_at"])[0] == pytest.approx(1, abs=0.25)


# -- pauses


def test_who_pauses_does_not_fall_silent() -> None:
    events = [*weekly(8), account("a", T0 + 7 * WEEK + DAY_MS, "paused")]
    found = moves([*events, tick(T0 + 60 * WEEK)])
    assert "dormant" not in [move.after for move in found]
    assert "lapsed" not in [move.after for move in found]


@pytest.mark.parametrize("resumes", ["activated", "renewed"])
def test_silence_goes_on_where_the_pause_began(resumes: str) -> None:
    """A pause of whole weeks: each stage comes just so much later."""
    began, length = T0 + 7 * WEEK + 2 * DAY_MS, 50 * WEEK
    end = tick(began + length + 2 * POLICY.horizon_ms)
    paused = [account("a", began, "paused"), account("a", began + length, resumes)]
    straight = moves([*weekly(8), end])
    found = moves([*weekly(8), *paused, end])
    ages = ("dormant", "lapsed")
    expected = [(move.after, move.at + length) for move in straight if move.after in ages]
    assert [(move.after, move.at) for move in found if move.after in ages] == expected
    assert len(expected) == 2


def test_a_closed_account_lapses_though_it_pauses() -> None:
    events = [
        *weekly(3),
        account("a", T0 + 2 * WEEK + 1, "paused"),
        account("a", T0 + 2 * WEEK + 2, "closed"),
    ]
    assert moves(events)[-1].after == "lapsed"


@pytest.mark.parametrize("status", ["lead", "qualified", "opportunity"])
def test_leads_are_prospects_with_their_source(status: str) -> None:
    events = [
        account("a", T0, status, acquisition_source="fair"),
        tick(T0 + 9 * WEEK),
        purchase("a", T0 + 9 * WEEK),
    ]
    history = run(partition(), live(events), range(len(events)))
    before, *_, after = history.scores
    assert (before.stage, before.profile.status) == ("prospect", status)
    assert before.profile.acquisition_source == "fair"
    assert (after.stage, after.profile.acquisition_source) == ("onboarding", "fair")
    assert [move.before for move in history.transitions] == ["prospect"]
