"""What may be invested in a customer: against sums by hand, and a search for the best offer."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.investment import (
    Bargain,
    Response,
    at_stake,
    best_offer,
    kept_value,
    offer_worth,
    subsidy_worth,
)
from shared.domain.policy import DAY_MS, Policy
from tests.campaign_builders import score

#: Horizons of a tenth of the value's time, and no discount: sums by hand.
PLAIN = Policy(horizon_ms=28 * DAY_MS, value_days=280, discount_rate=0.0)
ANNA = score(risk=0.5, p_churn=0.5, expected_spend=10.0, margin=50.0, revenue=100.0)


def by_hand(bound: int, horizons: int = 10) -> float:
    """Return the margin of horizons of which the first are sure: 10 of those who stay, 5 of all."""
    return 10.0 * bound + sum(5.0 * 0.5**k for k in range(horizons - bound))


@pytest.mark.parametrize("bound", [0, 1, 4, 10])
def test_a_kept_customer_is_worth_the_margin_of_who_stays(bound: int) -> None:
    assert kept_value(ANNA, PLAIN, bound * 28, 280) == pytest.approx(by_hand(bound))


def test_at_stake_is_the_difference_that_one_sure_horizon_makes() -> None:
    assert at_stake(ANNA, PLAIN) == pytest.approx(by_hand(1) - by_hand(0))
    gone = score(risk=1.0, p_churn=1.0, expected_spend=0.0, closed=True)
    assert at_stake(gone, PLAIN) == 0.0


def test_value_that_is_not_kept_is_the_lifetime_value_of_the_score() -> None:
    policy = Policy()
    value = 0.5 * 10.0 * 1.1 ** (-14 / 365)
    kept = 0.5 * 1.1 ** (-28 / 365)
    horizons = (1 - kept ** (365 / 28)) / (1 - kept)
    assert kept_value(ANNA, policy, 0, 365) == pytest.approx(value * horizons)


def test_a_subsidy_is_worth_what_it_binds_less_what_it_costs() -> None:
    found = subsidy_worth(ANNA, PLAIN, Bargain(20.0, 140, 36.5))
    assert found.unbound == pytest.approx(by_hand(0))
    assert found.bound == pytest.approx(by_hand(5) + 36.5 * 140 / 365)
    assert found.npv == pytest.approx(found.bound - found.unbound - 20.0)
    longer = subsidy_worth(ANNA, PLAIN, Bargain(0.0, 560))
    assert (longer.days, longer.bound) == (560, pytest.approx(by_hand(20, 20)))
    discounted = subsidy_worth(ANNA, Policy(), Bargain(0.0, 365, 100.0))
    plain = subsidy_worth(ANNA, Policy(), Bargain(0.0, 365))
    # 100 a year, paid in two hundred parts, each discounted to today
    parts = sum(0.5 * 1.1 ** -((k + 0.5) / 200) for k in range(200))
    assert discounted.bound - plain.bound == pytest.approx(parts, rel=1e-5)


def test_an_offer_keeps_a_share_and_breaks_even_at_a_price() -> None:
    response = Response(ceiling=0.4, scale=10.0, acceptance=0.5, contact=1.0)
    found = offer_worth(100.0, response, 20.0)
    kept = 0.4 * (1 - exp(-2))
    assert found.kept == pytest.approx(kept)
    assert found.npv == pytest.approx(kept * 100 - 1 - 0.5 * 20)
    assert found.break_even == pytest.approx((kept * 100 - 1) / 0.5)


@given(
    st.floats(0.0, 1e4), st.floats(0.01, 1.0), st.floats(0.1, 100.0), st.floats(0.05, 1.0),
    st.floats(0.0, 10.0),
)  # fmt: skip
def test_no_other_offer_is_worth_more_than_the_best(
    stake: float, ceiling: float, scale: float, acceptance: float, contact: float
) -> None:
    response = Response(ceiling, scale, acceptance, contact)
    best = best_offer(stake, response)
    others = (offer_worth(stake, response, k * scale / 50) for k in range(1_000))
    most = max(each.npv for each in others)
    assert most <= (0.0 if best is None else best.npv) + 1e-9 * (1 + stake)
