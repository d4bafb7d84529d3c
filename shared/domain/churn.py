"""The churn model: learns one label at a time with River, scores many customers with NumPy.

`ChurnModel` is the learner that the trainer owns; `Scorer` is a frozen copy of what it knows, which
scores a whole base at once and equals River's own prediction to 1e-9. While the learner is behind
the heuristic (`silence_prior`) by measured prequential log loss, the heuristic is what is served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing, utils

from shared.domain.features import FEATURES, PRIOR

Floats = NDArray[np.float64]

FORMAT: Final = "tenure.churn"
VERSION: Final = 1

CLIP: Final = 1e-4  # probabilities served lie in [CLIP, 1 - CLIP]
Z_LIMIT: Final = 8.0  # standardised features beyond it say no more
FLAT: Final = 1e-9  # a feature whose variance is below this share of its square is constant
MEMORY: Final = 0.999  # discount of the losses that choose between model and heuristic
MIN_LABELS: Final = 100  # fewer say nothing about which is better


class ModelStateError(ValueError):
    """A model state that this code cannot continue from: unknown format, version or features."""


@dataclass(frozen=True)
class Scorer:
    """What a model knew at one moment: scores rows independently of each other, bit for bit.

    Attributes
    ----------
    mean, spread, weight
        (F,) of the standardised logistic regression; a spread of 0 marks a constant feature.
    intercept
        Log odds of an average customer.
    warm
        False while the heuristic is served.
    """

    mean: Floats
    spread: Floats
    weight: Floats
    intercept: float
    warm: bool

    def predict(self, features: Floats) -> Floats:
        """Return (n,) probabilities of silence for (n, F) features."""
        odds = self._log_odds(features) if self.warm else features[:, PRIOR].copy()
        return np.clip(1.0 / (1.0 + np.exp(-odds)), CLIP, 1.0 - CLIP)

    def _log_odds(self, features: Floats) -> Floats:
        """Sum the contributions in the features' order, which no row count changes."""
        total = np.zeros(len(features))
        for j in range(len(self.weight)):
            total += self._contribution(features, j)
        return total + self.intercept

    def _contribution(self, features: Floats, j: int) -> Floats:
        if self.spread[j] == 0.0:
            return np.zeros(len(features))
        z = (features[:, j] - self.mean[j]) / self.spread[j]
        part: Floats = np.clip(z, -Z_LIMIT, Z_LIMIT) * self.weight[j]
        return part

    def contributions(self, features: Floats) -> Floats:
        """Return (n, F) signed log odds that each feature adds to those of an average customer."""
        if self.warm:
            return np.stack([self._contribution(features, j) for j in range(len(FEATURES))], axis=1)
        only_prior = np.zeros_like(features)
        only_prior[:, PRIOR] = features[:, PRIOR]
        return only_prior

    def reasons(self, features: Floats, top: int = 3) -> list[list[tuple[str, float]]]:
        """Return for each row the `top` features by size of their signed contribution."""
        parts = self.contributions(features)
        order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :top]
        return [
            [(FEATURES[j], float(row[j])) for j in chosen if row[j] != 0.0]
            for row, chosen in zip(parts, order, strict=True)
        ]


class ChurnModel:
    """River's standard scaler and logistic regression, with the heuristic until it is beaten."""

    def __init__(self) -> None:
        # River leaves these methods untyped.
        self._scaler: Any = preprocessing.StandardScaler()
        self._logistic: Any = linear_model.LogisticRegression(optim.SGD(0.003), intercept_lr=0.01)
        self.labels = 0
        self._loss = 0.0  # discounted log loss of the learner
        self._prior_loss = 0.0  # discounted log loss of the heuristic on the same labels

    @property
    def warm(self) -> bool:
        """Whether the learner has beaten the heuristic on labels that it had not seen."""
        return self.labels >= MIN_LABELS and self._loss < self._prior_loss

    @property
    def losses(self) -> tuple[float, float]:
        """Discounted mean log losses of the learner and of the heuristic; NaN without labels."""
        weight = (1 - MEMORY**self.labels) / (1 - MEMORY)
        return (self._loss / weight, self._prior_loss / weight) if weight else (math.nan, math.nan)

    def learn(self, x: Floats, y: int) -> None:
        """Learn one ripe label.

        Parameters
        ----------
        x
            (F,) features stored at the snapshot.
        y
            1 (or True) when the customer was silent over the horizon, else 0.
        """
        features = self._named(x)
        self._loss = MEMORY * self._loss + log_loss(self._learner_p(features), y)
        self._prior_loss = MEMORY * self._prior_loss + log_loss(_sigmoid(x[PRIOR]), y)
        self._scaler.learn_one(features)
        self._logistic.learn_one(self._standardised(features), y)
        self.labels += 1

    def predict_one(self, x: Floats) -> float:
        """Return River's own probability (the heuristic's while cold) for (F,) features."""
        p = self._learner_p(self._named(x)) if self.warm else _sigmoid(x[PRIOR])
        return min(max(p, CLIP), 1 - CLIP)

    def _learner_p(self, features: dict[str, float]) -> float:
        return float(self._logistic.predict_proba_one(self._standardised(features))[True])

    @staticmethod
    def _named(x: Floats) -> dict[str, float]:
        return dict(zip(FEATURES, x.tolist(), strict=True))

    def _standardised(self, features: dict[str, float]) -> dict[str, float]:
        scaled = self._scaler.transform_one(features)
        return {
            name: min(max(z, -Z_LIMIT), Z_LIMIT) if self._spread(name) else 0.0
            for name, z in scaled.items()
        }

    def _spread(self, name: str) -> float:
        """Return the standard deviation, 0 for a feature that is constant up to rounding."""
        variance: float = self._scaler.vars[name]
        flat = variance <= FLAT * (1e-3 + self._scaler.means[name] ** 2)
        return 0.0 if flat else math.sqrt(variance)

    def scorer(self) -> Scorer:
        """Return a frozen copy of what the model knows now."""
        weights = self._logistic.weights
        return Scorer(
            mean=np.array([self._scaler.means.get(name, 0.0) for name in FEATURES]),
            spread=np.array([self._spread(name) for name in FEATURES]),
            weight=np.array([float(weights.get(name, 0.0)) for name in FEATURES]),
            intercept=float(self._logistic.intercept),
            warm=self.warm,
        )

    def dump(self) -> dict[str, Any]:
        """Return everything needed to continue learning bit for bit, as JSON values."""
        scaler, logistic = self._scaler, self._logistic
        return {
            "format": FORMAT,
            "version": VERSION,
            "features": list(FEATURES),
            "labels": self.labels,
            "loss": self._loss,
            "prior_loss": self._prior_loss,
            "means": [scaler.means.get(name, 0.0) for name in FEATURES],
            "variances": [scaler.vars.get(name, 0.0) for name in FEATURES],
            "weights": [float(logistic.weights.get(name, 0.0)) for name in FEATURES],
            "intercept": float(logistic.intercept),
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> ChurnModel:
        """Restore what `dump` returned.

        Raises
        ------
        ModelStateError
            The state is of another format, version or set of features.
        """
        found = (state.get("format"), state.get("version"), state.get("features"))
        if found != (FORMAT, VERSION, list(FEATURES)):
            msg = f"cannot load model state: format, version, features are {found}"
            raise ModelStateError(msg)
        model = cls()
        model.labels = state["labels"]
        model._loss, model._prior_loss = state["loss"], state["prior_loss"]
        if model.labels:
            model._restore_river(state)
        return model

    def _restore_river(self, state: dict[str, Any]) -> None:
        """Put the sufficient statistics back; keys in the features' order, which fixes sums."""
        scaler, logistic = self._scaler, self._logistic
        scaler.counts.update(dict.fromkeys(FEATURES, self.labels))
        scaler.means.update(zip(FEATURES, state["means"], strict=True))
        scaler.vars.update(zip(FEATURES, state["variances"], strict=True))
        # No public way to set them: `initializer` only fills weights that are asked for first.
        logistic._weights = utils.VectorDict(  # noqa: SLF001
            dict(zip(FEATURES, state["weights"], strict=True))
        )
        logistic.intercept = state["intercept"]
        logistic.optimizer.n_iterations = self.labels


def log_loss(p: float, y: int) -> float:
    """Return -ln of the probability given to the outcome, clipped at `CLIP`."""
    return -math.log(max(p if y else 1 - p, CLIP))


def _sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -50.0), 50.0)))
