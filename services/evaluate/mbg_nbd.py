"""The modified beta-geometric/NBD model, fitted to a base by maximum likelihood.

Batislam, Denizel & Filiztekin (2007), doi 10.1016/j.ijresmar.2006.12.005: visits are Poisson with
gamma distributed rates (r, alpha), and after each visit, the first included, a customer leaves for
good with a chance that is beta distributed (a, b) over customers.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from services.evaluate.anchors import Said
from shared.domain.features import FEATURES, Floats
from shared.domain.forecasts import Labels
from shared.domain.losses import CLIP

_LEAST: Final = 100  # customers
_START: Final = (0.5, 0.5, 1.0, 2.0)  # r, alpha in horizons, a, b
_BOUND: Final = 7.0  # of the parameters' logarithms
_RECENCY, _VISITS, _TENURE = (FEATURES.index(name) for name in ("recency", "visits", "tenure"))


class MbgNbd:
    """A fitted model; time is in horizons.

    Parameters
    ----------
    parameters
        r, alpha, a, b.
    horizon_days
        H.

    """

    def __init__(self, parameters: NDArray[np.float64], horizon_days: float) -> None:
        self.parameters = parameters
        self._horizon = horizon_days

    @classmethod
    def fit(cls, taken: Labels, horizon_days: float) -> Self | None:
        """Fit to the newest snapshot of each customer; None while customers are few."""
        newest = np.unique(taken.customer[::-1], return_index=True)[1]
        features = taken.features[::-1][newest]
        features = features[features[:, _VISITS] > 0]
        if len(features) < _LEAST:
            return None
        x, last, age = _summary(features, horizon_days)
        found = optimize.minimize(
            lambda logs: -_log_likelihood(np.exp(logs), x, last, age).mean(),
            np.log(_START),
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * len(_START),
        )
        return cls(np.exp(found.x), horizon_days)

    def say(self, features: Floats) -> Said:
        """Return for customers (n, F): fewest expected visits first; chance of none."""
        r, alpha, a, b = self.parameters
        x, last, age = _summary(features, self._horizon)
        gone = a / (b + x) * ((alpha + age) / (alpha + last)) ** (r + x)
        alive = 1.0 / (1.0 + gone)
        quiet = ((alpha + age) / (alpha + age + 1.0)) ** (r + x)
        silent = 1.0 - alive * (1.0 - quiet)
        reach = special.hyp2f1(r + x, b + x + 1.0, a + b + x, 1.0 / (alpha + age + 1.0))
        visits = alive * (a + b + x) / (a - 1.0) * (1.0 - reach * quiet)
        never = features[:, _VISITS] == 0
        rank = np.where(never, 0.0, -visits)
        return rank, np.clip(silent, CLIP, 1.0 - CLIP)


def _summary(features: Floats, horizon_days: float) -> tuple[Floats, Floats, Floats]:
    """Return repeat visits, time of the last one, and age, (n,) each; times in horizons."""
    age = features[:, _TENURE] / horizon_days
    last = np.maximum(features[:, _TENURE] - features[:, _RECENCY], 0.0) / horizon_days
    return np.maximum(features[:, _VISITS] - 1.0, 0.0), last, age


def _log_likelihood(
    parameters: NDArray[np.float64], x: Floats, last: Floats, age: Floats
) -> Floats:
    """Return that of each customer, (n,)."""
    r, alpha, a, b = parameters
    rates = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
    stays = special.betaln(a, b + x + 1.0) - special.betaln(a, b)
    quiet = -(r + x) * np.log(alpha + age)
    left = np.log(a) - np.log(b + x) - (r + x) * np.log((alpha + last) / (alpha + age))
    found: Floats = rates + stays + quiet + np.logaddexp(left, 0.0)
    return found
