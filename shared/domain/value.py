"""What customers are expected to spend, and what they are worth: elementwise over many at once.

Expected spend over the horizon H is the chance of any activity, times visits, times money a visit::

    spend = level * (1 - p) * mean_spend * H * (recent + lifetime) / 2
    recent   = visits_90 / (tau * (1 - 2 ** (-(tenure + H / 2) / 90))),    tau = 90 / ln 2
    lifetime = visits / (tenure + H / 2)

with p the churn model's probability of silence. Both are visits a day: the first forgets by half
in 90 days (over which a steady visitor's decayed count tends to rate * tau, and the divisor is
that of a shorter life), the second never. H / 2 is the prior exposure alpha of the heuristic in
`shared.domain.hazard`: someone new is not taken for a daily visitor. Money a visit and visits are
taken to be independent, as in Gamma-Gamma (Fader, Hardie & Lee 2005, "RFM and CLV",
doi 10.1509/jmkr.2005.42.4.415), whose regression to the mean is left out: it breaks on zero and
on skewed amounts.

``level`` is learned: the ratio of what was realised to what was expected, over horizons that have
ended. It takes up what the formula leaves out: that who is active at all visits more often. Seasons
multiply it, and only over whole years do they cancel out: so it is the geometric mean over time,
each four weeks alike, whether the base was small then or large, and spent little or much (the
level of a multiplicative decomposition: Holt 1957, doi 10.1016/j.ijforecast.2003.09.015; Winters
1960, doi 10.1287/mnsc.6.3.324). A ratio of sums would follow the weeks in which most was expected.

Customer lifetime value is the present value of the margin to come over a time L, with a retention
of 1 - churn a horizon (Gupta & Lehmann 2003, doi 10.1002/dir.10045)::

    value = margin * spend * sum over k < L / H of ((1 - churn) * discount) ** k * discount ** .5

with ``discount`` that of one horizon, paid in its middle. Whoever leaves is taken to be lost, which
is cautious where customers skip a horizon; money spent on winning them is sunk and not in it.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import FEATURES

Floats = NDArray[np.float64]

#: A level is remembered for years, so that every season is in it alike: half after four.
MEMORY_DAYS: Final = 1460.0
#: Stretches of time that count alike.
_STRETCH_DAYS: Final = 28.0
#: The formula alone (a level of 1) counts as much as so many average labels in each stretch, and as
#: one whole stretch beside them.
_PRIOR_LABELS: Final = 10.0
_PRIOR_STRETCHES: Final = 1.0
YEAR_DAYS: Final = 365.0

_HALF_LIFE: Final = 90.0
_TAU: Final = _HALF_LIFE / math.log(2.0)
_TENURE, _VISITS, _VISITS_90, _MEAN_SPEND = (
    FEATURES.index(name) for name in ("tenure", "visits", "visits_90", "mean_spend")
)


def unscaled_spend(features: Floats, silent: Floats | float, horizon: float) -> Floats:
    """Return expected spend (n,) at a level of 1, in the reporting currency.

    Parameters
    ----------
    features
        (n, F), or (F,) of one customer.
    silent
        (n,) probability of no activity within the horizon.
    horizon
        H in days.

    """
    visits = horizon * visit_rate(features, horizon)
    spend: Floats = (1.0 - silent) * features.T[_MEAN_SPEND] * visits
    return spend


def visit_rate(features: Floats, horizon: float) -> Floats:
    """Return visits a day (n,): the mean of the recent rate and that of the whole life."""
    facts = features.T
    exposure = facts[_TENURE] + horizon / 2.0
    recent = facts[_VISITS_90] / (_TAU * (1.0 - np.exp2(-exposure / _HALF_LIFE)))
    lifetime = facts[_VISITS] / exposure
    rate: Floats = 0.5 * (recent + lifetime)
    return rate


def lifetime_value(
    *, spend: Floats, churn: Floats, margin: Floats, horizon: float, life: float, rate: float
) -> Floats:
    """Return the present value (n,) of the margin to come.

    Parameters
    ----------
    spend
        (n,) expected over the next horizon.
    churn
        (n,) probability of leaving within a horizon, in (0, 1).
    margin
        (n,) margin ratio.
    horizon, life
        H and L in days; L need not be a multiple of H.
    rate
        Discount rate a year.

    Examples
    --------
    Nobody leaves and nothing is discounted: four horizons of 25 at half the margin.

    >>> spend, churn, margin = (np.array([one]) for one in (25.0, 1e-12, 0.5))
    >>> value = lifetime_value(
    ...     spend=spend, churn=churn, margin=margin, horizon=91.0, life=364.0, rate=0.0
    ... )
    >>> round(float(value[0]), 6)
    50.0

    """
    discount = (1.0 + rate) ** (-horizon / YEAR_DAYS)
    kept = (1.0 - churn) * discount
    horizons = (1.0 - kept ** (life / horizon)) / (1.0 - kept)
    value: Floats = margin * spend * math.sqrt(discount) * horizons
    return value


def margin_ratio(margin: NDArray[np.int64], revenue: NDArray[np.int64], default: float) -> Floats:
    """Return each customer's realised margin ratio (n,), or the default before any revenue.

    A ratio beyond -1 or 1 comes of refunds that undo other sales; it is cut off there.
    """
    earned = revenue > 0
    ratio = np.where(earned, margin, default) / np.where(earned, revenue, 1)
    return np.clip(ratio, -1.0, 1.0)


@dataclass
class _Stretch:
    """What was expected and realised after the snapshots of four weeks, and when they were."""

    first: float
    last: float
    labels: float = 0.0
    expected: float = 0.0
    realised: float = 0.0

    def add(self, expected: float, realised: float, day: float) -> None:
        self.first, self.last = min(self.first, day), max(self.last, day)
        self.labels += 1.0
        self.expected += expected
        self.realised += realised

    def log_level(self) -> float:
        """Return the logarithm of realised over expected, regressed to 0 where labels are few."""
        prior = _PRIOR_LABELS * self.expected / self.labels
        return math.log((self.realised + prior) / (self.expected + prior))

    def weight(self, now: float) -> float:
        """Return the share of it that has labels, less what was forgotten since."""
        covered = min((self.last - self.first + 1.0) / _STRETCH_DAYS, 1.0)
        kept: float = 0.5 ** ((now - self.last) / MEMORY_DAYS)
        return covered * kept


class SpendLevel:
    """Learns the level of expected spend from horizons that have ended.

    Examples
    --------
    >>> level = SpendLevel()
    >>> level.value
    1.0
    >>> for label in range(56_000):
    ...     level.learn(expected=10.0, realised=15.0, day=label // 100)
    >>> round(level.value, 1)
    1.5

    """

    def __init__(self) -> None:
        self._stretches: dict[int, _Stretch] = {}

    @property
    def value(self) -> float:
        """Realised over expected, the geometric mean over time; 1 before anything was expected."""
        found = [each for _, each in sorted(self._stretches.items()) if each.expected > 0.0]
        if not found:
            return 1.0
        now = max(each.last for each in found)
        weights = [each.weight(now) for each in found]
        logs = (weight * each.log_level() for weight, each in zip(weights, found, strict=True))
        return math.exp(sum(logs) / (sum(weights) + _PRIOR_STRETCHES))

    def learn(self, expected: float, realised: float, day: float) -> None:
        """Take in a horizon that has ended.

        Parameters
        ----------
        expected, realised
            Spend at a level of 1, and what was spent; neither is negative.
        day
            When it was expected, in days since 1970.

        """
        number = math.floor(day / _STRETCH_DAYS)
        self._stretches.setdefault(number, _Stretch(day, day)).add(expected, realised, day)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {str(number): list(astuple(each)) for number, each in self._stretches.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned."""
        self._stretches = {int(number): _Stretch(*each) for number, each in state.items()}
