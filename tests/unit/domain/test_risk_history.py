"""The risk as it was: what reviews said a week and a month ago."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.customer import ROW
from shared.domain.partition import Partition
from shared.domain.policy import SLOT_MS
from shared.domain.risk_history import UNKNOWN, remember, risk_before
from tests.unit.domain.histories import (
    DAY_MS,
    HOUR_MS,
    POLICY,
    T0,
    live,
    partition,
    purchase,
    row_of,
    run,
    tick,
)


def risk_of(day: int) -> float:
    return day % 97 / 97


@given(st.integers(0, 100), st.integers(1, 90), st.integers(0, DAY_MS - 1))
def test_a_risk_is_found_again_after_a_week_and_a_month(
    first: int, days: int, time_of_day: int
) -> None:
    rows = np.zeros(1, ROW)
    rows["risks"] = UNKNOWN
    for day in range(first, first + days):
        remember(rows, np.array([day * DAY_MS + time_of_day]), np.array([risk_of(day)]))
    today = first + days - 1
    for back in (7, 30):
        (found,) = risk_before(rows, np.array([today * DAY_MS + time_of_day]), back)
        day = (today - back) // 2 * 2  # that day, or the one before
        if day < first:
            assert found is None
        else:
            assert found == pytest.approx(risk_of(day), abs=0.5 / 254)


def test_the_last_review_of_a_day_counts_and_rows_do_not_mix() -> None:
    rows = np.zeros(3, ROW)
    rows["risks"] = UNKNOWN
    remember(rows[:2], np.array([0, DAY_MS]), np.array([0.25, 0.5]))
    remember(rows[:1], np.array([1]), np.array([1.0]))
    assert risk_before(rows, np.full(3, 7 * DAY_MS), 7) == [1.0, None, None]


def test_a_score_tells_the_risk_of_a_week_and_a_month_ago() -> None:
    weekly = [purchase("a", T0 + n * 7 * DAY_MS) for n in range(4)]
    scores = run(partition(), live([*weekly, tick(T0 + 70 * DAY_MS)])).scores
    reviews = [one for one in scores if one.cause == "review"]
    assert {one.risk_7d_ago for one in scores if one.at < T0 + 6 * DAY_MS} == {None}
    late = [one for one in reviews if one.at > T0 + 40 * DAY_MS]
    assert len(late) > 3
    for one in late:
        for days, found in ((7, one.risk_7d_ago), (30, one.risk_30d_ago)):
            then = one.at - days * DAY_MS
            told = [
                [other.risk for other in scores if other.at <= at][-1]
                for at in (then, then - DAY_MS)
            ]
            # Scores are told when the risk passes a multiple of .05.
            assert found is not None
            assert min(abs(found - risk) for risk in told) < 0.05 + 1 / 254


def due_of(target: Partition) -> int:
    return int(row_of(target, "a")["review"]) * SLOT_MS


@pytest.mark.parametrize("horizon_days", [1, 28])  # a day: stages end before the daily review
def test_the_next_review_is_when_the_customer_is_looked_at_next(horizon_days: int) -> None:
    target = partition(replace(POLICY, horizon_ms=horizon_days * DAY_MS))
    bought = [purchase("a", at) for at in (T0 + 10 * HOUR_MS, T0 + 34 * HOUR_MS)]  # after its mark
    for number, one in enumerate(bought):
        *_, told = run(target, live([one], offset=number)).scores
        assert told.next_review == due_of(target) > told.at
    reviews = 0
    for _ in range(60):
        due = due_of(target)
        assert run(target, live([tick(due - 1)], target.offset)).scores == []
        for told in run(target, live([tick(due)], target.offset)).scores:
            assert (told.at, told.cause) == (due, "review")
            assert told.next_review == due_of(target) > told.at
            reviews += 1
    assert reviews > 3
