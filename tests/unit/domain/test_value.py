"""What customers are expected to spend, and what that is worth now."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.features import FEATURES, Floats
from shared.domain.value import (
    MEMORY_DAYS,
    SpendLevel,
    lifetime_value,
    margin_ratio,
    unscaled_spend,
)


def customers(**facts: list[float]) -> Floats:
    (n,) = {len(values) for values in facts.values()}
    found = np.zeros((n, len(FEATURES)))
    for name, values in facts.items():
        found[:, FEATURES.index(name)] = values
    return found


def steady(every: float, days: float, spend: float) -> Floats:
    """Return a customer that comes every so many days, to this day, for a time."""
    gaps = np.arange(0.0, days + 1e-9, every)
    return customers(
        visits=[float(len(gaps))],
        tenure=[days],
        visits_90=[float(np.sum(0.5 ** (gaps / 90.0)))],
        mean_spend=[spend],
    )


@pytest.mark.parametrize(("every", "days"), [(1.0, 1000.0), (7.0, 3000.0), (2.0, 700.0)])
def test_a_steady_customer_is_expected_to_go_on(every: float, days: float) -> None:
    expected = unscaled_spend(steady(every, days, 5.0), np.array([0.0]), 28.0)
    assert expected[0] == pytest.approx(28.0 / every * 5.0, rel=0.06)


def test_the_chance_of_silence_takes_its_share() -> None:
    x = steady(7.0, 300.0, 5.0)
    half, whole = (unscaled_spend(x, np.array([p]), 28.0)[0] for p in (0.5, 0.0))
    assert half == pytest.approx(whole / 2)


def test_someone_new_is_not_taken_for_a_daily_visitor() -> None:
    new = customers(visits=[1.0], tenure=[0.0], visits_90=[1.0], mean_spend=[10.0])
    expected = unscaled_spend(new, np.array([0.0]), 28.0)[0]
    assert expected < 28 * 10.0 / 10


def test_who_never_spent_is_expected_to_spend_nothing() -> None:
    never = customers(visits=[0.0, 4.0], tenure=[40.0, 40.0], visits_90=[0.0, 3.0],
                      mean_spend=[0.0, 0.0])  # fmt: skip
    assert unscaled_spend(never, np.array([0.5, 0.5]), 91.0).tolist() == [0.0, 0.0]


positive = st.floats(0.01, 1e4)


@given(
    st.lists(st.tuples(positive, st.floats(1e-4, 1 - 1e-4), st.floats(-1, 1)), min_size=1),
    st.sampled_from([1.0, 28.0, 91.0, 182.0]),
    st.integers(1, 20),
    st.floats(0, 1),
)
def test_value_is_the_sum_of_discounted_margins(
    found: list[tuple[float, float, float]], horizon: float, horizons: int, rate: float
) -> None:
    spend, churn, margin = (np.array(column) for column in zip(*found, strict=True))
    value = lifetime_value(
        spend=spend, churn=churn, margin=margin, horizon=horizon, life=horizons * horizon, rate=rate
    )
    for got, (paid, lost, ratio) in zip(value, found, strict=True):
        years = [(k + 0.5) * horizon / 365 for k in range(horizons)]
        kept = [(1 - lost) ** k * (1 + rate) ** -year for k, year in enumerate(years)]
        assert got == pytest.approx(ratio * paid * math.fsum(kept), rel=1e-6)


def test_the_margin_is_the_customers_own_once_there_is_revenue() -> None:
    margin, revenue = np.array([0, 30, -500, 0, 5]), np.array([0, 100, 100, -20, 4])
    assert margin_ratio(margin, revenue, 0.4).tolist() == [0.4, 0.3, -1.0, 0.4, 1.0]


def learned(level: SpendLevel, labels: int, days: range, ratio: float, expected: float) -> None:
    """Learn so many labels on each of some days."""
    for day in days:
        for _ in range(labels):
            level.learn(expected, ratio * expected, float(day))


STRETCH = 28


def test_the_level_is_realised_over_expected() -> None:
    level = SpendLevel()
    for expected, realised in [(10.0, 30.0), (30.0, 50.0)] * 500:
        for day in range(STRETCH):
            level.learn(expected, realised, float(day))
    # a ratio of sums within four weeks, not a mean of ratios; and the formula counts for as long
    ratio = (14_000 * 80 + 10 * 20) / (14_000 * 40 + 10 * 20)
    assert level.value == pytest.approx(math.sqrt(ratio))


def test_seasons_cancel_out_however_much_was_expected_in_each() -> None:
    level = SpendLevel()
    for year in range(10):
        high, low = (range(start, start + 6 * STRETCH) for start in (year * 336, year * 336 + 168))
        learned(level, 10, high, 2.0, 10.0)
        learned(level, 20, low, 0.5, 1_000.0)
    assert level.value == pytest.approx(1.0, abs=0.03)


def test_few_labels_do_not_make_a_level() -> None:
    level = SpendLevel()
    learned(level, 1, range(1), 1_000.0, 10.0)
    assert level.value < 1.2


def test_a_level_is_half_forgotten_after_its_memory() -> None:
    level = SpendLevel()
    years = round(MEMORY_DAYS)
    learned(level, 100, range(STRETCH), 1.0, 1.0)
    learned(level, 100, range(years, years + STRETCH), 4.0, 1.0)
    # half a stretch at 1, a whole one at 4 (though it falls into two), and the formula's own
    assert math.log(level.value) == pytest.approx(math.log(4.0) / 2.5, rel=0.02)


def test_before_anything_was_expected_the_level_is_one() -> None:
    level = SpendLevel()
    level.learn(0.0, 0.0, 5.0)
    assert level.value == 1.0


def test_a_restored_level_goes_on_bit_for_bit() -> None:
    level, other = SpendLevel(), SpendLevel()
    for day in range(50):
        level.learn(day % 7 + 0.1, day % 5 + 0.3, float(day))
    other.restore(level.dump())
    for day in range(50, 90):
        for one in (level, other):
            one.learn(day % 7 + 0.1, day % 5 + 0.3, float(day))
    assert other.dump() == level.dump()
    assert other.value == level.value
