"""What the churn model derives from a customer's facts, now and after some more days of silence.

A horizon H is cut into equal steps. The model knows one thing: the chance that a customer is
silent for one more step, given the facts at its start. Silence changes the facts in a known way
(recency grows, decayed visits fade), so silence over H is the product over its steps. A step's
label is known soon, so what is learned is of today, however long H is (a period life table).

Formulas 4-6: beta-geometric/NBD, Fader, Hardie & Lee (2005), doi 10.1287/mksc.1040.0098, with the
prior a = 1, b = 2, r = .5, alpha = H / 2: a heuristic that needs no training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import FEATURES

Floats = NDArray[np.float64]

#: What the model is linear in, for one step.
INPUTS: Final = (
    "visits",
    "mean_spend",
    "onboarding",
    "services",
    "never_active",
    "recency",
    "tenure",
    "recency_to_rhythm",
    "silence_weight",
    "silence_prior",
    "visits_7",
    "visits_30",
    "visits_90",
)
#: Those of `INPUTS` that silence does not change; the others follow.
STILL: Final = 5
PRIOR: Final = INPUTS.index("silence_prior")

_WEEK: Final = 7.0
_MOST_STEPS: Final = 7
_RATE_SHAPE: Final = 0.5  # r
_SURE: Final = 1e-4  # the heuristic is never surer than this


@dataclass(frozen=True)
class Steps:
    """How a horizon is cut.

    Attributes
    ----------
    horizon
        H in days.
    count
        Steps in it: weeks, at most seven.
    """

    horizon: float
    count: int

    @classmethod
    def of(cls, horizon: float) -> Steps:
        """Cut a horizon (days) into weeks, or into seven when it is longer."""
        return cls(horizon, min(_MOST_STEPS, max(1, int(horizon / _WEEK))))

    @property
    def length(self) -> float:
        """Days of one step."""
        return self.horizon / self.count


@dataclass(frozen=True)
class Facts:
    """Those of `features.FEATURES` that the formulas read, (n,) each."""

    recency: Floats
    visits: Floats
    tenure: Floats
    visits_7: Floats
    visits_30: Floats
    visits_90: Floats
    mean_spend: Floats
    onboarding: Floats
    services: Floats


#: Where a feature vector has them, in their order.
FACTS: Final = [FEATURES.index(name) for name in Facts.__dataclass_fields__]


def facts_of(features: Floats) -> Facts:
    """Return the columns (n,) that the formulas read; contiguous, so that bits do not vary."""
    return Facts(*[features[:, j].copy() for j in FACTS])


def still(facts: Facts) -> list[Floats]:
    """Return the first `STILL` inputs."""
    return [
        np.log(1.0 + facts.visits),
        np.log(1.0 + facts.mean_spend),
        np.log(1.0 + facts.onboarding),
        facts.services,
        1.0 - np.minimum(facts.visits, 1.0),
    ]


def moving(facts: Facts, steps: Steps, ahead: float, length: float) -> list[Floats]:
    """Return the other inputs for the step of ``length`` days that starts ``ahead`` days on."""
    recency, tenure = facts.recency + ahead, facts.tenure + ahead
    span, repeat = _span(facts), _repeat(facts)
    weight, odds = _prior(facts, steps, ahead, length)
    return [
        np.log(1.0 + recency),
        np.log(1.0 + tenure),
        np.log(1.0 + recency * (repeat + 1.0) / (span + steps.horizon / 2.0)),
        weight,
        odds,
        np.log(1.0 + facts.visits_7 * 0.5 ** (ahead / 7.0)),
        np.log(1.0 + facts.visits_30 * 0.5 ** (ahead / 30.0)),
        np.log(1.0 + facts.visits_90 * 0.5 ** (ahead / 90.0)),
    ]


def _span(facts: Facts) -> Floats:
    found: Floats = np.maximum(facts.tenure - facts.recency, 0.0)
    return found


def _repeat(facts: Facts) -> Floats:
    found: Floats = np.maximum(facts.visits - 1.0, 0.0)
    return found


def _prior(facts: Facts, steps: Steps, ahead: float, length: float) -> tuple[Floats, Floats]:
    """Return the weight of silence, and its log odds: gone, or alive and quiet."""
    alpha, repeat = steps.horizon / 2.0, _repeat(facts)
    tenure, shape = facts.tenure + ahead, _RATE_SHAPE + repeat
    known = np.log(alpha + tenure)
    weight = shape * (known - np.log(alpha + _span(facts)))
    quiet = np.exp(shape * (known - np.log(alpha + tenure + length)))
    alive = 1.0 / (1.0 + np.exp(np.minimum(weight, 50.0)) / (2.0 + repeat))
    silent = np.minimum(np.maximum(1.0 - alive * (1.0 - quiet), _SURE), 1.0 - _SURE)
    return weight, np.log(silent / (1.0 - silent))


def step_prior(facts: Facts, steps: Steps, ahead: float) -> Floats:
    """Return the heuristic's log odds of silence over the step that starts ``ahead`` days on."""
    return _prior(facts, steps, ahead, steps.length)[1]


def prior(facts: Facts, steps: Steps) -> Floats:
    """Return the heuristic's log odds of silence over the whole horizon."""
    return _prior(facts, steps, 0.0, steps.horizon)[1]


def inputs(facts: Facts, steps: Steps) -> Floats:
    """Return all inputs (n, I) for the step that starts now."""
    found: Floats = np.stack([*still(facts), *moving(facts, steps, 0.0, steps.length)], axis=1)
    return found
