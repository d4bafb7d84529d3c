"""Uplift and balance: what they say of hand-made counts, and what they refuse to say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.uplift import ALPHA, LEAST, Sample, Stratum, balance, uplift


def shares(n: int, yes: int) -> Sample:
    """Return ``yes`` ones among ``n`` outcomes."""
    return Sample(n, float(yes), float(yes))


def stratum(treatment: Sample, control: Sample, share: float = 0.5) -> Stratum:
    return Stratum(share, treatment, control)


def test_the_estimate_is_the_difference_of_the_means() -> None:
    found = uplift([stratum(shares(1_000, 400), shares(1_000, 300))])
    assert found is not None
    assert found.estimate == pytest.approx(0.1)
    assert found.low < 0.1 < found.high
    assert found.high - found.estimate == pytest.approx(found.estimate - found.low)


def test_mean_and_variance_are_those_of_the_outcomes() -> None:
    values = np.array([3.0, -1.0, 4.0, 1.5, 9.0])
    sample = Sample(len(values), values.sum(), (values**2).sum())
    assert sample.mean == pytest.approx(values.mean())
    assert sample.variance == pytest.approx(values.var(ddof=1))


def test_at_its_narrowest_it_is_half_as_wide_again_as_an_interval_for_one_look() -> None:
    """Robbins' mixture at alpha .05 reaches 3.03 standard errors where a single look takes 1.96."""
    found = uplift([stratum(shares(5_000, 2_500), shares(5_000, 2_500))])
    assert found is not None
    standard_error = math.sqrt(2 * 0.25 / 5_000)
    assert found.high / standard_error == pytest.approx(3.035, abs=0.002)


@given(st.integers(LEAST, 10**6))
def test_more_customers_never_widen_it(n: int) -> None:
    def half(size: int) -> float:
        found = uplift([stratum(Sample(size, 0, size), Sample(size, 0, size))])
        assert found is not None
        return found.high

    assert half(2 * n) < half(n)


def test_too_few_or_all_the_same_tell_nothing() -> None:
    many = shares(1_000, 400)
    assert uplift([]) is None
    assert uplift([stratum(many, shares(LEAST - 1, 20))]) is None
    assert uplift([stratum(shares(LEAST - 1, 20), many)]) is None
    assert uplift([stratum(shares(100, 100), shares(100, 100))]) is None
    assert uplift([stratum(many, shares(LEAST, 20))]) is not None


def test_a_control_group_without_the_rare_outcome_does_not_pass_for_certain() -> None:
    some = uplift([stratum(shares(900, 18), shares(100, 0), share=0.1)])
    assert some is not None
    standard_error = math.sqrt(0.02 * 0.98 / 100)
    assert some.high - some.estimate > 3 * standard_error * 0.9


def test_a_changed_share_does_not_pass_for_an_effect() -> None:
    """Simpson's paradox: few held out while all stay, many while few do; no effect in either."""
    early = stratum(shares(9_000, 8_100), shares(1_000, 900), share=0.1)
    late = stratum(shares(5_000, 1_000), shares(5_000, 1_000), share=0.5)
    found = uplift([early, late])
    assert found is not None
    assert found.estimate == pytest.approx(0.0)
    pooled = (8_100 + 1_000) / 14_000 - (900 + 1_000) / 6_000
    assert pooled > 0.3


def test_strata_count_by_their_size() -> None:
    small = stratum(shares(500, 200), shares(500, 100))
    large = stratum(shares(1_500, 300), shares(1_500, 300))
    found = uplift([small, large])
    assert found is not None
    assert found.estimate == pytest.approx(0.2 * 1_000 / 4_000)


def test_strata_that_tell_nothing_are_left_out() -> None:
    good = stratum(shares(1_000, 400), shares(1_000, 300))
    assert uplift([good, stratum(shares(10, 10), shares(1, 0), share=0.1)]) == uplift([good])


def test_arms_as_meant_are_balanced_and_others_are_not() -> None:
    assert balance([(0.1, 9_000, 1_000)]).p_value == 1.0
    assert balance([(0.1, 9_000, 1_000)]).expected_control == pytest.approx(1_000)
    lost = balance([(0.1, 9_000, 800)])
    assert lost.p_value < 0.001
    assert lost.control == 800


def test_the_p_value_is_the_inverse_of_the_bayes_factor() -> None:
    """By hand: a beta prior of 50 and 50 against a fair coin, ten heads in a row."""
    ones = [math.log(50 + i) - math.log(100 + i) for i in range(10)]
    assert balance([(0.5, 10, 0)]).p_value == pytest.approx(
        math.exp(10 * math.log(0.5) - sum(ones))
    )


def test_shares_that_draw_nobody_say_nothing_about_balance() -> None:
    assert balance([(0.0, 500, 0), (1.0, 0, 20)]).p_value == 1.0
    assert balance([]).p_value == 1.0


def test_evidence_of_two_shares_adds_up() -> None:
    one, other = (0.5, 280, 220), (0.2, 880, 170)
    both = balance([one, other]).p_value
    assert both == pytest.approx(balance([one]).p_value * balance([other]).p_value)
    assert both < balance([one]).p_value < 1.0


def test_watched_all_along_a_fair_draw_is_hardly_ever_called_unfair() -> None:
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        controls = np.cumsum(random.random(2_000) < 0.1)
        looks = range(19, 2_000, 20)
        counts = ((look + 1 - int(controls[look]), int(controls[look])) for look in looks)
        alarms += any(balance([(0.1, *each)]).p_value < ALPHA for each in counts)
    assert alarms <= 200 - 183
