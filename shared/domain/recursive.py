"""A logistic regression that is at its optimum after every label, and forgets.

What is minimised over weights w is the log loss of all labels, each worth less the older it is, and
a quadratic pull towards what was believed before the first label. Every label is one Newton step on
that sum (recursive estimation: Ljung & Soderstrom 1983; with forgetting, the logistic twin of
recursive least squares). Stochastic gradient descent gets there too, but along inputs that say
nearly the same (recency, tenure, decayed visits) only after several horizons, and until then it is
too unsure at both ends.

The level is forgotten sooner than the weights (`shared.domain.configuration`): how many come
changes sooner than who does. An average of what was known lately is kept beside what is known now:
the further ahead, the less is left of what sets today apart (`shared.domain.churn_scorer`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.configuration import Configuration
from shared.domain.logistic import Linear, Scaler, Standardised, information

Floats = NDArray[np.float64]

_LOOSE: Final = 1.0  # pull of the believed weight: that it is worth something is known
_FEWEST: Final = 50.0  # no half-life is shorter, in labels


class Kept(NamedTuple):
    """What is left by one label of what was known before it.

    Attributes
    ----------
    information
        (I + 1, I + 1) shares of the information that are kept.
    pull
        (I + 1,) pulls of the prior that make up for what is not.
    usual
        Share of the average that is kept.

    """

    information: Floats
    pull: Floats
    usual: float


class Recursive:
    """Learns the log odds of one outcome, from a prior that believes one input as it is.

    Parameters
    ----------
    names
        I inputs, standardised by a `Scaler`.
    believed
        The number of the one that is log odds already: its weight is 1 at first, all others are 0.
    chosen
        How it believes and forgets.
    horizon
        H in days.

    """

    def __init__(
        self, names: tuple[str, ...], believed: int, chosen: Configuration, horizon: float
    ) -> None:
        from scipy.linalg import lapack

        # For positive definite matrices, which the pull sees to; NumPy's takes three times as long.
        self._solve = lapack.dposv
        size = len(names) + 1  # the level is last
        self._believed = believed
        self._memory, self._level_memory = chosen.memory, chosen.level_days / horizon
        self._usual_memory = chosen.usual
        self._prior = np.zeros(size)
        self._prior[believed] = 1.0
        self._pull = np.full(size, chosen.pull)
        self._pull[believed], self._pull[-1] = _LOOSE, chosen.level_pull
        self._pulls = np.diag(self._pull)
        self._weights = self._prior.copy()
        self._usual, self._averaged = self._prior.copy(), 0.0  # labels in the average, discounted
        self._information = np.diag(np.full(size, chosen.belief))
        self._information[-1, -1] = 0.0

    def of(self, standardised: Standardised) -> Floats:
        """Return what is learned from (n, I + 1): inputs, the believed one as it was, and 1."""
        values, mean, spread = standardised
        x = np.column_stack([values, np.ones(len(values))])
        j = self._believed
        x[:, j] = mean[:, j] + spread[:, j] * values[:, j]
        return x

    def kept(self, pace: Floats) -> list[Kept]:
        """Return what is kept up to each label, given the labels (n,) in a horizon then."""
        parts = np.empty((len(pace), len(self._weights)))
        parts[:, :-1] = _kept(self._memory * pace)[:, None]
        parts[:, -1] = _kept(self._level_memory * pace)
        roots = np.sqrt(parts)
        information = roots[:, :, None] * roots[:, None, :]
        # What is forgotten of the labels' pull is made up for by that of the prior.
        pull = (1.0 - parts) * self._pull
        return [*map(Kept, information, pull, _kept(self._usual_memory * pace).tolist())]

    def log_odds(self, x: Floats) -> float:
        """Return the log odds of one (I + 1,) of `of`."""
        return float(self._weights.dot(x))

    def learn(self, x: Floats, square: Floats, y: int, p: float, kept: Kept) -> None:
        """Learn one label.

        Parameters
        ----------
        x, square
            One (I + 1,) of `of`, and its outer product with itself (I + 1, I + 1).
        y
            1 or 0.
        p
            The probability of 1 by `log_odds`, and by what others add to them.
        kept
            Of what was known before.

        """
        self._information *= kept.information
        self._information += square * information(p)
        slope = x * (y - p) - kept.pull * (self._weights - self._prior)
        matrix = self._information + self._pulls
        # The transpose is the same matrix in the order of LAPACK, which then makes no copy.
        _, step, _ = self._solve(matrix.T, slope, overwrite_a=True, overwrite_b=True)
        self._weights += step
        self._averaged = self._averaged * kept.usual + 1.0
        self._usual += (self._weights - self._usual) / self._averaged

    def linear(self, scaler: Scaler) -> Linear:
        """Return a frozen copy of what is known now, in standardised inputs."""
        return self._frozen(self._weights, scaler)

    def usual(self, scaler: Scaler) -> Linear:
        """Return the average of what was known lately, in the same inputs."""
        return self._frozen(self._usual, scaler)

    def _frozen(self, weights: Floats, scaler: Scaler) -> Linear:
        mean, spread = scaler.moments()
        weight, own = weights[:-1].copy(), float(weights[self._believed])
        weight[self._believed] = own * spread[self._believed]
        return Linear(mean, spread, weight, float(weights[-1] + own * mean[self._believed]))

    def dump(self) -> dict[str, Any]:
        """Return everything needed to continue learning bit for bit, as JSON values."""
        return {
            "weights": self._weights.tolist(),
            "information": self._information.tolist(),
            "usual": self._usual.tolist(),
            "averaged": self._averaged,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned."""
        self._weights = np.array(state["weights"])
        self._information = np.array(state["information"])
        # Former states had no average: it sets out from what is known.
        self._usual = np.array(state.get("usual", state["weights"]))
        self._averaged = state.get("averaged", 0.0)

    def take_over(self, former: Linear) -> None:
        """Believe at first what another regression knew."""
        if not former.spread[self._believed]:
            return
        own = former.weight[self._believed] / former.spread[self._believed]
        self._weights[:-1] = former.weight
        self._weights[self._believed] = own
        self._weights[-1] = former.intercept - own * former.mean[self._believed]
        self._usual = self._weights.copy()


def _kept(half_life: Floats) -> Floats:
    """Return what is kept from one label to the next, for half-lives (n,) in labels."""
    kept: Floats = 0.5 ** (1.0 / np.maximum(half_life, _FEWEST))
    return kept
