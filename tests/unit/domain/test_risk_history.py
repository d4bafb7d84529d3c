"""The risk as it was: what reviews said a week and a month ago."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.customer import ROW
from shared.domain.risk_history import UNKNOWN, remember, risk_before
from tests.unit.domain.histories import DAY_MS, T0, live, partition, purchase, run, tick


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


def test_the_next_review_is_when_the_customer_is_looked_at_next() -> None:
    target = partition()
    scores = run(target, live([purchase("a", T0)])).scores
    for _ in range(60):
        before = scores[-1]
        assert before.next_review > before.at
        scores += run(target, live([tick(before.next_review - 1)], target.offset)).scores
        assert scores[-1] is before
        scores += run(target, live([tick(before.next_review)], target.offset)).scores
        if scores[-1] is not before:
            assert (scores[-1].at, scores[-1].cause) == (before.next_review, "review")
            continue
        break
    else:
        raise AssertionError("every review told a score")
