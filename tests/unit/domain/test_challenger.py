"""A challenger is promoted when it is better with confidence, and hardly ever otherwise."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.challenger import ERROR_RATE, Comparison, bound
from shared.domain.outputs import Example, Identity
from shared.domain.policy import DAY_MS

HORIZON_DAYS = 28.0
T0 = 20_000 * DAY_MS


def example(
    at: int, predicted: float, challenger: float | None, *, silent: bool = True, model: int = 1
) -> Example:
    return Example(
        origin=Identity(0, at, 0),
        at=at - 29 * DAY_MS,
        labelled_at=at,
        features=[],
        silent=silent,
        predicted=predicted,
        heuristic=0.5,
        model=model,
        recent=True,
        challenger=challenger,
    )


def test_one_observation_is_the_mean_difference_of_all_labels_of_a_horizon() -> None:
    comparison = Comparison()
    first = [example(T0 + day * DAY_MS, 0.5, 0.8, silent=day % 3 > 0) for day in range(28)]
    ended = [comparison.take(one, HORIZON_DAYS) for one in first]
    assert not any(ended)
    assert comparison.horizons == 0
    assert math.isnan(comparison.difference().estimate)
    assert comparison.take(example(T0 + 28 * DAY_MS, 0.5, 0.9), HORIZON_DAYS)
    right, wrong = math.log(0.5 / 0.8), math.log(0.5 / 0.2)
    mean = (18 * right + 10 * wrong) / 28
    assert comparison.difference().estimate == pytest.approx(mean)
    # Ten times the labels in the next horizon are one observation more.
    for day in range(280):
        comparison.take(example(T0 + 28 * DAY_MS + day * DAY_MS // 10 + 1, 0.5, 0.8), HORIZON_DAYS)
    assert comparison.take(example(T0 + 60 * DAY_MS, 0.5, 0.8), HORIZON_DAYS)
    second = (280 * right + math.log(0.5 / 0.9)) / 281
    assert comparison.difference().estimate == pytest.approx((mean + second) / 2)


def test_it_says_how_good_both_were() -> None:
    comparison = Comparison()
    comparison.take(example(T0, 0.5, 0.25, silent=False), HORIZON_DAYS)
    comparison.take(example(T0, 0.5, 0.25, silent=True), HORIZON_DAYS)
    found = comparison.report()
    assert found["compared_labels"] == 2
    assert found["log_loss"] == pytest.approx(math.log(2))
    assert found["challenger_log_loss"] == pytest.approx(-math.log(0.25 * 0.75) / 2)


@pytest.mark.parametrize(
    "untold",
    [
        example(T0, 0.4, None, model=5),
        example(T0, 0.4, float(np.float32(0.4)), model=5),  # as rows keep it: both said the same
        example(T0, 0.4, 0.6, model=4),  # made by versions before they changed places
    ],
)
def test_labels_that_tell_nothing_are_left_out(untold: Example) -> None:
    comparison = Comparison(since=5)
    assert not comparison.take(untold, HORIZON_DAYS)
    assert comparison == Comparison(since=5)


def test_what_was_said_before_they_changed_places_is_each_ones_own() -> None:
    comparison = Comparison(since=5)
    assert comparison.said(example(T0, 0.4, 0.6, model=5)) == (0.4, 0.6)
    assert comparison.said(example(T0, 0.4, 0.6, model=4)) == (0.6, 0.4)
    assert comparison.said(example(T0, 0.4, None, model=4)) == (0.4, 0.4)


LIVES, HORIZONS = 4_000, 120


def promoted(differences: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Tell which lives (n,) ever pass the bound, looked at after each observation (n, h)."""
    sums, squares = differences.cumsum(axis=1), (differences**2).cumsum(axis=1)
    bounds = np.vectorize(lambda each: bound(each, rate))(squares)
    passed: NDArray[np.bool_] = (sums < -bounds).any(axis=1)
    return passed


@pytest.mark.parametrize("shape", ["normal", "heavy tails", "growing"])
def test_an_equal_is_hardly_ever_promoted_however_often_one_looks(shape: str) -> None:
    draw = np.random.default_rng(3)
    size = (LIVES, HORIZONS)
    found = draw.standard_t(2, size) if shape == "heavy tails" else draw.normal(size=size)
    found *= np.geomspace(0.003, 0.1, HORIZONS) if shape == "growing" else 0.01
    share = promoted(found, ERROR_RATE).mean()
    assert share < ERROR_RATE + 3 * math.sqrt(ERROR_RATE / LIVES)
    assert share > 0.0  # the bound is not idle


def test_horizons_that_overlap_are_why_one_of_them_is_one_observation() -> None:
    """Each week's labels share what happened in the four weeks of their horizon."""
    happened = np.random.default_rng(5).normal(size=(LIVES, 4 * HORIZONS + 4)).cumsum(axis=1)
    by_week = 0.01 * (happened[:, 4:] - happened[:, :-4]) / 2
    by_horizon = by_week.reshape(LIVES, HORIZONS, 4).mean(axis=2)
    assert promoted(by_horizon, ERROR_RATE).mean() < ERROR_RATE
    assert promoted(by_week, ERROR_RATE).mean() > 4 * ERROR_RATE


def test_what_is_better_is_promoted_in_time() -> None:
    draw = np.random.default_rng(4)
    better = draw.normal(-0.01, 0.01, (500, 30))
    assert promoted(better, Comparison().error_rate).mean() > 0.9
    assert not promoted(-better, Comparison().error_rate).any()


def test_all_comparisons_of_a_life_together_err_no_more_often_than_was_set() -> None:
    comparison, rates = Comparison(), []
    for _ in range(1_000):
        rates.append(comparison.error_rate)
        comparison = comparison.next(since=1)
    assert 0.99 * ERROR_RATE < sum(rates) <= ERROR_RATE
