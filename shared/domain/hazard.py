"""What the churn model derives from a customer's facts, now and after some more days of silence.

A horizon H is cut into equal steps. The model knows one thing: the chance that a customer is
silent for one more step, given the facts at its start. Silence changes the facts in a known way
(recency grows, decayed visits fade), so silence over H is the product over its steps. A step's
label is known soon, so what is learned is of today, however long H is (a period life table).

Formulas 4-6: beta-geometric/NBD, Fader, Hardie & Lee (2005), doi 10.1287/mksc.1040.0098, with the
prior a = 1, b = 2, r = .5, alpha = H / 2: a heuristic that needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.domain.features import FEATURES

Floats = NDArray[np.float64]
#: A number, or (n,) numbers.
V = TypeVar("V", float, NDArray[np.float64])

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
class Ops(Generic[V]):
    """The functions that the formulas need: of one customer, or of many."""

    log: Callable[[V], V]
    exp: Callable[[V], V]
    minimum: Callable[[Any, Any], V]
    maximum: Callable[[Any, Any], V]


#: For one customer, in floats.
ONE: Final[Ops[float]] = Ops(math.log, math.exp, min, max)
#: For (n,) customers, in arrays; the bits of each depend on nothing but itself.
MANY: Final[Ops[Floats]] = Ops(np.log, np.exp, np.minimum, np.maximum)


@dataclass
class Facts(Generic[V]):
    """Those of `features.FEATURES` that the formulas read, of one customer or (n,) of many."""

    recency: V
    visits: V
    tenure: V
    visits_7: V
    visits_30: V
    visits_90: V
    mean_spend: V
    onboarding: V
    services: V


#: Where a feature vector has them, in their order.
FACTS: Final = [FEATURES.index(name) for name in Facts.__dataclass_fields__]


def still(ops: Ops[V], facts: Facts[V]) -> list[V]:
    """Return the first `STILL` inputs."""
    return [
        ops.log(1.0 + facts.visits),
        ops.log(1.0 + facts.mean_spend),
        ops.log(1.0 + facts.onboarding),
        facts.services,
        1.0 - ops.minimum(facts.visits, 1.0),
    ]


def moving(ops: Ops[V], facts: Facts[V], steps: Steps, ahead: float, length: float) -> list[V]:
    """Return the other inputs for the step of ``length`` days that starts ``ahead`` days on."""
    alpha = steps.horizon / 2.0
    recency, tenure = facts.recency + ahead, facts.tenure + ahead
    span = ops.maximum(facts.tenure - facts.recency, 0.0)
    repeat = ops.maximum(facts.visits - 1.0, 0.0)
    shape = _RATE_SHAPE + repeat
    known = ops.log(alpha + tenure)
    weight = shape * (known - ops.log(alpha + span))
    quiet = ops.exp(shape * (known - ops.log(alpha + tenure + length)))
    return [
        ops.log(1.0 + recency),
        ops.log(1.0 + tenure),
        ops.log(1.0 + recency * (repeat + 1.0) / (span + alpha)),
        weight,
        _prior(ops, repeat, weight, quiet),
        ops.log(1.0 + facts.visits_7 * 0.5 ** (ahead / 7.0)),
        ops.log(1.0 + facts.visits_30 * 0.5 ** (ahead / 30.0)),
        ops.log(1.0 + facts.visits_90 * 0.5 ** (ahead / 90.0)),
    ]


def _prior(ops: Ops[V], repeat: V, weight: V, quiet: V) -> V:
    """Log odds of silence: gone, or alive and quiet."""
    alive = 1.0 / (1.0 + ops.exp(ops.minimum(weight, 50.0)) / (2.0 + repeat))
    silent = ops.minimum(ops.maximum(1.0 - alive * (1.0 - quiet), _SURE), 1.0 - _SURE)
    return ops.log(silent / (1.0 - silent))


def prior(ops: Ops[V], facts: Facts[V], steps: Steps) -> V:
    """Return the heuristic's log odds of silence over the whole horizon."""
    return moving(ops, facts, steps, 0.0, steps.horizon)[PRIOR - STILL]


def inputs(facts: Facts[float], steps: Steps) -> list[float]:
    """Return all inputs of one customer for the step that starts now."""
    return still(ONE, facts) + moving(ONE, facts, steps, 0.0, steps.length)
