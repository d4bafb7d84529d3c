"""A logistic regression that learns one label at a time with River, and says what it knows.

River is imported by the first that learns: it takes seconds, most of them SciPy's, and who types
`tenure --help` shall not wait for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z_LIMIT: Final = 8.0  # standardised inputs beyond it say no more
FLAT: Final = 1e-9  # an input whose variance is below this share of its square is constant
_PACE: Final = 3e-4  # learning rate where both outcomes are certain to differ (variance 1)
_LEVEL: Final = 1.4  # the intercept learns so much faster than the weights
_MEMORY: Final = 10.0  # with many labels a horizon, the rate is this over their number
_FASTEST: Final = 0.02
_EARLY: Final = 0.01
_UNSEEN: Final = 0.5  # positives among 50 labels, as if seen before the first
_RARE: Final = 0.01  # outcomes rarer than about 1% are not learned any faster
_LEAST_INFORMATION: Final = 1e-3  # of a label, however sure it was


@dataclass(frozen=True)
class Linear:
    """What a logistic regression knew at one moment.

    Attributes
    ----------
    mean, spread, weight
        (I,) of the standardised inputs; a spread of 0 marks a constant one.
    intercept
        Log odds of an average customer.
    """

    mean: Floats
    spread: Floats
    weight: Floats
    intercept: float

    def share(self, j: int, values: Floats) -> Floats | float:
        """Return the log odds (n,) that input ``j`` adds to those of an average customer."""
        if self.spread[j] == 0.0:
            return 0.0
        z = (values - self.mean[j]) * (1.0 / self.spread[j])
        part: Floats = np.minimum(np.maximum(z, -Z_LIMIT), Z_LIMIT) * self.weight[j]
        return part

    def towards(self, other: Linear, share: float) -> Linear:
        """Return what lies a share of the way to another one of the same inputs."""
        weight = self.weight + share * (other.weight - self.weight)
        intercept = self.intercept + share * (other.intercept - self.intercept)
        return Linear(self.mean, self.spread, weight, intercept)


class Standardised(NamedTuple):
    """Inputs of n labels (n, I), by what was known with each of them.

    Attributes
    ----------
    values
        Standardised, within `Z_LIMIT`; 0 where an input is constant.
    mean, spread
        What they were standardised by.

    """

    values: Floats
    mean: Floats
    spread: Floats


class Scaler:
    """Standardises inputs by all labels so far, with a guard for constants, a limit for outliers.

    What is kept are sums of distances from the first label's inputs and of their squares, so that
    many labels are taken at once, and to the bit as they would be one by one. River's scaler takes
    a fifth of the time of a label for the same.

    Parameters
    ----------
    names
        Of I inputs.

    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._labels = 0
        self._origin = np.zeros(len(names))
        self._sums = np.zeros((2, len(names)))

    def learn(self, x: Floats) -> Standardised:
        """Take inputs (n, I) in, one after the other, and return each as it was seen."""
        if not self._labels:
            self._origin = x[0].copy()
        distance = x - self._origin
        steps = np.concatenate((self._sums[None], np.stack((distance, distance**2), axis=1)))
        np.cumsum(steps, axis=0, out=steps)
        counts = np.arange(self._labels + 1.0, self._labels + len(x) + 1.0)[:, None]
        mean, spread = self._moments(steps[1:], counts)
        self._labels, self._sums = self._labels + len(x), steps[-1].copy()
        z = (x - mean) / np.where(spread, spread, np.inf)
        return Standardised(np.clip(z, -Z_LIMIT, Z_LIMIT), mean, spread)

    def _moments(self, sums: Floats, labels: Floats | float) -> tuple[Floats, Floats]:
        """Return means and standard deviations, the latter 0 where constant up to rounding."""
        shift, squares = sums[..., 0, :] / labels, sums[..., 1, :] / labels
        mean, variance = self._origin + shift, squares - shift**2
        constant = variance <= FLAT * (1e-3 + mean**2)
        return mean, np.sqrt(np.where(constant, 0.0, variance))

    def moments(self) -> tuple[Floats, Floats]:
        """Return means and standard deviations (I,), the latter 0 for an input that is constant."""
        return self._moments(self._sums, max(self._labels, 1))

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "inputs": list(self.names),
            "labels": self._labels,
            "origin": self._origin.tolist(),
            "sums": self._sums.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned; former states had means and variances in it."""
        self._labels = state["labels"]
        if "means" in state:
            squares = self._labels * np.array(state["variances"])
            state = {"origin": state["means"], "sums": [np.zeros_like(squares), squares]}
        self._origin, self._sums = np.array(state["origin"]), np.array(state["sums"])


#: Variance of what `Calibrated` believes at first.
_DOUBT: Final = 1.0


class Logistic:
    """River's logistic regression on standardised inputs, with rates that fit base and balance.

    The rate falls with the number of labels a horizon, so that what is remembered is a share of a
    horizon whether the base is small or large; it rises with imbalance, since the gradient of a
    rare outcome is small.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        from river import linear_model, optim

        self._names = names
        # River leaves its methods untyped.
        self._rate = optim.schedulers.Constant(_PACE)
        self._level_rate = optim.schedulers.Constant(_PACE)
        self._logistic: Any = linear_model.LogisticRegression(
            optim.SGD(self._rate), intercept_lr=self._level_rate
        )
        self.labels = 0
        self.positives = 0

    def base_rate(self) -> float:
        """Return the share of positive labels, with a little of the unknown in it."""
        return (self.positives + 5.0) / (self.labels + 10.0)

    def log_odds(self, scaled: dict[str, float]) -> float:
        """Return River's own log odds of standardised inputs."""
        return float(self._logistic._raw_dot_one(scaled))  # noqa: SLF001  # no public name for it

    def learn(self, scaled: dict[str, float], y: int, offset: float, pace: float) -> None:
        """Learn one label.

        Parameters
        ----------
        scaled
            Its standardised inputs.
        y
            1 or 0.
        offset
            Log odds that others add; passed to River as a part of the intercept.
        pace
            Labels in a horizon.
        """
        self.labels += 1
        self.positives += y
        self._set_rates(pace)
        self._logistic.intercept += offset
        self._logistic.learn_one(scaled, y)
        self._logistic.intercept -= offset

    def pass_over(self) -> None:
        """Count a label of an outcome that was never seen, and learn nothing of it."""
        self.labels += 1

    def begin(self) -> None:
        """Begin to learn at the level of the labels passed over."""
        self._logistic.intercept = self._level()

    def _set_rates(self, pace: float) -> None:
        p = self.base_rate()
        base = min(_PACE, _MEMORY / pace) / max(p * (1 - p), _RARE)
        self._rate.learning_rate = min(base, _FASTEST)
        early = min(_EARLY, 1.0 / (self.labels + 1))
        self._level_rate.learning_rate = max(_LEVEL * base, early)

    def level(self, scaler: Scaler) -> Linear:
        """Return the share of positive labels alone, for an outcome that is rare until seen."""
        nothing = np.zeros(len(self._names))
        return Linear(scaler.moments()[0], nothing, nothing, self._level())

    def _level(self) -> float:
        return math.log((self.positives + _UNSEEN) / (self.labels - self.positives + 99 * _UNSEEN))

    def linear(self, scaler: Scaler) -> Linear:
        """Return a frozen copy of what is known now."""
        weights = self._logistic.weights
        weight = np.array([float(weights.get(name, 0.0)) for name in self._names])
        return Linear(*scaler.moments(), weight, float(self._logistic.intercept))

    def dump(self) -> dict[str, Any]:
        """Return everything needed to continue learning bit for bit, as JSON values."""
        weights = self._logistic.weights
        return {
            "labels": self.labels,
            "positives": self.positives,
            "weights": [float(weights.get(name, 0.0)) for name in self._names],
            "intercept": float(self._logistic.intercept),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `dump` returned; keys in the inputs' order, which fixes sums."""
        self.labels, self.positives = state["labels"], state["positives"]
        if not self.labels:
            return
        from river import utils

        # No public way to set them: `initializer` only fills weights that are asked for first.
        self._logistic._weights = utils.VectorDict(  # noqa: SLF001
            dict(zip(self._names, state["weights"], strict=True))
        )
        self._logistic.intercept = state["intercept"]
        self._logistic.optimizer.n_iterations = self.labels


class Calibrated:
    """Log odds that somebody else gives, made to fit: ``level + slope * odds``, learned online.

    Platt's scaling, a label at a time: an extended Kalman filter for the logistic likelihood, from
    a prior that believes the odds as they are. Tens of labels are enough for it, where a
    regression on many inputs takes thousands.
    """

    def __init__(self) -> None:
        self.level, self.slope = 0.0, 1.0
        self._variance = [_DOUBT, 0.0, _DOUBT]  # of the level, of both, of the slope

    def log_odds(self, odds: float) -> float:
        """Return the log odds that fit."""
        return self.level + self.slope * odds

    def learn(self, odds: float, error: float, information: float) -> None:
        """Learn one label.

        Parameters
        ----------
        odds
            As they were given.
        error
            The probability that fitted, less the label.
        information
            p (1 - p) of that probability.
        """
        level, both, slope = self._variance
        for_level, for_slope = level + both * odds, both + slope * odds
        gain = 1.0 / (1.0 / information + for_level + for_slope * odds)
        self._variance = [
            level - gain * for_level * for_level,
            both - gain * for_level * for_slope,
            slope - gain * for_slope * for_slope,
        ]
        self.level -= gain * for_level * error / information
        self.slope -= gain * for_slope * error / information

    def dump(self) -> list[float]:
        """Return everything needed to continue learning bit for bit."""
        return [self.level, self.slope, *self._variance]

    def restore(self, state: list[float]) -> None:
        """Put back what `dump` returned."""
        self.level, self.slope, *self._variance = state


def sigmoid(log_odds: float) -> float:
    """Return the probability that log odds stand for."""
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -50.0), 50.0)))


def information(p: float) -> float:
    """Return what a label tells that was given the probability p: p (1 - p), but for a least."""
    return max(p * (1.0 - p), _LEAST_INFORMATION)
