"""Days with activity that are to be expected."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.features import FEATURES, Floats
from shared.domain.value import visit_rate
from shared.domain.visits import expected_visits


def facts(**known: float) -> Floats:
    x = np.zeros((1, len(FEATURES)))
    for name, value in known.items():
        x[0, FEATURES.index(name)] = value
    return x


@given(
    st.integers(0, 2000),
    st.floats(0, 1000),
    st.floats(0, 130),
    st.floats(0, 1),
    st.sampled_from([1.0, 7.0, 28.0, 182.0]),
)
def test_whoever_comes_does_so_once_at_least_and_daily_at_most(
    visits: int, tenure: float, recent: float, silent: float, horizon: float
) -> None:
    x = facts(visits=visits, tenure=tenure, visits_90=recent)
    (found,) = expected_visits(x, np.array([silent]), horizon)
    assert (1 - silent) * (1 - 1e-6) <= found <= (1 - silent) * horizon * (1 + 1e-6)


@pytest.mark.parametrize("rate", [0.002, 0.03, 0.3])
def test_it_is_the_mean_of_days_that_come_by_chance(rate: float) -> None:
    """A customer of years who came at a steady rate, and whose chances are known."""
    days, horizon = 3000.0, 28
    x = facts(visits=rate * days, tenure=days, visits_90=rate * 90 / np.log(2))
    assert visit_rate(x, horizon)[0] == pytest.approx(rate, rel=0.01)
    silent = (1 - rate) ** horizon
    came = np.random.default_rng(5).binomial(horizon, rate, 400_000).mean()
    (found,) = expected_visits(x, np.array([silent]), horizon)
    assert found == pytest.approx(came, rel=0.03)


def test_who_never_came_is_expected_once_at_most() -> None:
    assert expected_visits(facts(), np.array([0.75]), 28.0)[0] == pytest.approx(0.25)
