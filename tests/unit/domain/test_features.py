"""Folding activity in any order, and features whose bits depend on nothing but their row."""

from collections.abc import Iterable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.features import (
    ACTIVITY_FIELDS,
    DAY_MS,
    EXACT_DELAY_DAYS,
    FEATURES,
    Rows,
    awake,
    feature_matrix,
    fold_activity,
    plan_codes,
    resting,
    service_bit,
)
from shared.domain.signs import SIGNS

T0 = 1_700_000_000_000
WEEK = 7 * DAY_MS

Activity = tuple[int, int]  # time in ms, amount in micros


def row_of(activities: Iterable[Activity]) -> Rows:
    """Fold (time, amount) pairs one after the other into a fresh row."""
    row = np.zeros(1, ACTIVITY_FIELDS)
    for at, amount in activities:
        fold_activity(row, np.array([at], np.int64), np.array([amount], np.int64))
    return row


def assert_same(left: Rows, right: Rows) -> None:
    for name in ("first_at", "last_at", "recent_days", "visits", "spend"):
        assert left[name][0] == right[name][0], name
    for name in ("decay7", "decay30", "decay90"):
        assert left[name][0] == pytest.approx(right[name][0], abs=1e-9)


activities = st.lists(
    st.tuples(st.integers(T0, T0 + (EXACT_DELAY_DAYS - 1) * DAY_MS), st.integers(0, 10**12)),
    min_size=1,
    max_size=25,
)


@given(activities, st.randoms())
def test_any_order_folds_to_the_same_row(events: list[Activity], random: Random) -> None:
    shuffled = random.sample(events, len(events))
    assert_same(row_of(shuffled), row_of(sorted(events)))


@given(activities)
def test_visits_are_distinct_utc_days(events: list[Activity]) -> None:
    row = row_of(events)
    assert row["visits"][0] == len({at // DAY_MS for at, _ in events})
    assert row["spend"][0] == sum(amount for _, amount in events)
    assert (row["first_at"][0], row["last_at"][0]) == (min(events)[0], max(events)[0])


@given(activities)
def test_decayed_visits_follow_their_definition(events: list[Activity]) -> None:
    row, last_day = row_of(events), max(events)[0] // DAY_MS
    ages = [last_day - day for day in {at // DAY_MS for at, _ in events}]
    assert row["decay30"][0] == pytest.approx(sum(2 ** (-age / 30) for age in ages), abs=1e-9)
    assert row["decay90"][0] == pytest.approx(sum(2 ** (-age / 90) for age in ages), abs=1e-9)


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=30))
def test_years_in_order_count_each_day_once(days: list[int]) -> None:
    row = row_of([(T0 + day * DAY_MS, 0) for day in sorted(days)])
    assert row["visits"][0] == len(set(days))


def test_an_activity_beyond_the_exact_delay_counts_as_a_day_of_its_own() -> None:
    days = (0, 200, 100, 100, 0)
    row = row_of([(T0 + day * DAY_MS, 0) for day in days])
    assert row["visits"][0] == 4  # day 100 twice, since the row no longer knows it; day 0 once


@pytest.mark.parametrize("gap", [63, 64, 65, 70, 500])
def test_a_long_gap_leaves_no_trace_of_days_without_activity(gap: int) -> None:
    row = row_of([(T0, 0), (T0 + gap * DAY_MS, 0), (T0 + (gap - 50) * DAY_MS, 0)])
    late = row_of([(T0, 0), (T0 + gap * DAY_MS, 0), (T0 + (gap - 63) * DAY_MS, 0)])
    assert row["visits"][0] == 3
    assert late["visits"][0] == 2 + (gap != 63)


def test_many_customers_fold_as_each_alone() -> None:
    rng = np.random.default_rng(1)
    together = np.zeros(50, ACTIVITY_FIELDS)
    alone = [np.zeros(1, ACTIVITY_FIELDS) for _ in range(50)]
    for _ in range(8):
        at = T0 + rng.integers(0, 900 * DAY_MS, 50)
        amount = rng.integers(0, 10**9, 50)
        fold_activity(together, at, amount)
        for i, row in enumerate(alone):
            fold_activity(row, at[i : i + 1], amount[i : i + 1])
    assert together.tobytes() == np.concatenate(alone).tobytes()


@pytest.fixture(scope="module")
def base() -> Rows:
    rng = np.random.default_rng(2)
    rows = np.zeros(300, ACTIVITY_FIELDS)
    for _ in range(12):
        some = rng.random(300) < 0.6
        copy = rows[some]
        fold_activity(
            copy, T0 + rng.integers(0, 400 * DAY_MS, some.sum()), rng.integers(0, 10**9, some.sum())
        )
        rows[some] = copy
    return rows


def test_a_row_alone_has_the_bits_it_has_among_many(base: Rows) -> None:
    now = T0 + 401 * DAY_MS
    together = feature_matrix(base, now)
    for chunk in (1, 3, 7, 64):
        parts = [base[i : i + chunk] for i in range(0, 300, chunk)]
        apart = np.concatenate([feature_matrix(part, now) for part in parts])
        assert apart.tobytes() == together.tobytes()
    strided = feature_matrix(base[::3], np.full(100, now))
    assert strided.tobytes() == together[::3].tobytes()


def test_features_survive_float32(base: Rows) -> None:
    matrix = feature_matrix(base, T0 + 401 * DAY_MS)
    assert matrix.shape == (300, len(FEATURES))
    assert matrix.astype(np.float32).astype(np.float64).tobytes() == matrix.tobytes()


def test_features_are_finite_for_a_customer_never_seen_and_a_time_before_the_last() -> None:
    rows = np.concatenate([np.zeros(1, ACTIVITY_FIELDS), row_of([(T0, 5)])])
    assert np.isfinite(feature_matrix(rows, T0 - DAY_MS)).all()
    assert np.isfinite(feature_matrix(rows, T0 + 10_000 * DAY_MS)).all()


def test_known_values() -> None:
    row = row_of([(T0, 2_000_000), (T0 + 10 * DAY_MS, 4_000_000)])
    row["first_seen"] = T0 - 3 * DAY_MS
    row["services"] = service_bit("voice") | service_bit("data")
    row["plan"], row["family"] = plan_codes("flat-S")
    row["plan_at"] = T0 + 6 * DAY_MS
    now = T0 + 15 * DAY_MS
    x = dict(zip(FEATURES, feature_matrix(row, now)[0].tolist(), strict=True))
    fades = {
        name: (1 + 2 ** (-10 / half)) * 2 ** (-5 / half)
        for name, half in (("visits_7", 7), ("visits_30", 30), ("visits_90", 90))
    }
    assert x == pytest.approx(
        {
            "recency": 5.0,
            "visits": 2.0,
            "tenure": 15.0,
            **fades,
            "mean_spend": 3.0,
            "onboarding": 3.0,
            "services": 2.0,
            "plan": float(row["plan"][0]),
            "family": float(row["family"][0]),
            "plan_days": 9.0,
            "day": now / DAY_MS,
            **dict.fromkeys(SIGNS, 0.0),
        },
        rel=1e-6,
    )


def test_a_customer_that_was_never_active_counts_from_its_first_event() -> None:
    row = np.zeros(1, ACTIVITY_FIELDS)
    row["first_seen"] = T0
    x = dict(zip(FEATURES, feature_matrix(row, T0 + 20 * DAY_MS)[0].tolist(), strict=True))
    assert (x["recency"], x["tenure"], x["onboarding"], x["visits"]) == (20.0, 20.0, 20.0, 0.0)
    assert x["plan_days"] == 0.0


def test_services_are_told_apart_and_counted_once() -> None:
    row = np.zeros(1, ACTIVITY_FIELDS)
    for name in ("voice", "data", "voice"):
        bit = np.array([service_bit(name)], np.uint32)
        fold_activity(row, np.array([T0]), np.array([0]), bit)
    assert feature_matrix(row, T0)[0, FEATURES.index("services")] == 2


# -- what a pause takes out of a silence


def paused(began: int, ended: int = 0) -> Rows:
    row = row_of([(T0, 5)])
    row["first_seen"] = T0
    row["paused_s"], row["resumed_s"] = began // 1000, ended // 1000
    return row


@pytest.mark.parametrize(
    ("began", "ended", "now", "silent"),
    [
        (2, 0, 1, 1),  # paused later than now: not yet
        (2, 0, 30, 2),  # it still pauses
        (2, 12, 7, 2),  # its end is known, but not yet here
        (2, 12, 30, 20),
        (-9, 12, 30, 18),  # active while it paused: silent since that
        (-9, -3, 30, 30),  # over before the last activity
    ],
)
def test_a_pause_is_no_silence(began: int, ended: int, now: int, silent: int) -> None:
    row = paused(T0 + began * DAY_MS, T0 + ended * DAY_MS if ended else 0)
    x = feature_matrix(row, T0 + now * DAY_MS)[0]
    assert x[FEATURES.index("recency")] == silent
    assert x[FEATURES.index("tenure")] == silent
    assert x[FEATURES.index("day")] == pytest.approx((T0 + now * DAY_MS) / DAY_MS)


def test_a_pause_is_its_own_customers() -> None:
    three = np.concatenate([row_of([(T0, 5)]), paused(T0 + DAY_MS), row_of([(T0, 5)])])
    now = np.full(3, T0 + 9 * DAY_MS)
    assert (awake(three, now) - T0).tolist() == [9 * DAY_MS, DAY_MS, 9 * DAY_MS]
    assert resting(three).tolist() == [False, True, False]
    assert now.tolist() == [T0 + 9 * DAY_MS] * 3
