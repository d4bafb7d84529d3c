"""What the churn model costs: a label learned, a customer scored, and bytes of state."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from msgspec import Struct

from shared.domain.churn import ChurnModel
from shared.domain.customer import SNAPSHOT
from shared.domain.features import ACTIVITY_FIELDS, FEATURES, Floats
from shared.domain.groundwork import Labels
from shared.domain.learner import Learner
from shared.domain.outputs import Example, Identity, Training, Watermark

_SCORED: Final = 1_000_000
_RECORD: Final = 500  # labels in a record of the training log
_FAMILIES: Final = 10
_DAY_MS: Final = 86_400_000
_T0_DAY: Final = 19_000
#: What signs are drawn up to: a few complaints and debts, contracts and limits of all.
_MOST_SIGNS: Final = {
    "complaints": 2, "complained": 90, "rating": 251, "payments_failed": 2, "overdue": 40,
    "notice": 2, "ends": 90, "used": 150,
}  # fmt: skip


class ModelCost(Struct, frozen=True):
    """CPU time and bytes.

    Attributes
    ----------
    plans
        Share of customers that are on a plan: those cost more.
    signs
        Share of customers of whom there are signs of leaving: so do those.
    labels
        Learned, each with all that the trainer does of it: metrics, drift, spend, the model.
    learned_us, alone_us
        CPU time of a label, as deployed and without a challenger.
    customers_per_second
        Of CPU time, scored in bulk by what was learned.
    state_bytes, snapshot_bytes
        What the model keeps of a customer, and of each snapshot that waits for its label.

    """

    plans: float
    signs: float
    labels: int
    learned_us: float
    alone_us: float
    customers_per_second: float
    state_bytes: int
    snapshot_bytes: int


def bench_model(labels: int, plans: float, signs: float = 0.0) -> ModelCost:
    """Learn labels as the trainer does, then score a million silent customers at once."""
    draw = np.random.default_rng(0)
    features = _features(draw, labels, plans, signs)
    silent = draw.random(labels) < 1.0 / (1.0 + np.exp(-(features[:, 0] - 20.0) / 10.0))
    examples = [
        _example(n, values, came)
        for n, (values, came) in enumerate(zip(features.tolist(), silent.tolist(), strict=True))
    ]
    alone, learner = Learner(), Learner()
    alone.challenger = _Absent()
    alone_us, learned_us = (1e6 * _learn(one, examples) / labels for one in (alone, learner))
    scorer, base = learner.model.scorer(), _features(draw, _SCORED, plans, signs)
    scorer.predict(base[:10_000])
    began = time.process_time()
    scorer.predict(base)
    scored = time.process_time() - began
    return ModelCost(
        plans=plans,
        signs=signs,
        labels=learner.model.labels,
        learned_us=learned_us,
        alone_us=alone_us,
        customers_per_second=_SCORED / scored,
        state_bytes=np.dtype(ACTIVITY_FIELDS).itemsize,
        snapshot_bytes=SNAPSHOT.itemsize,
    )


class _Absent(ChurnModel):
    """A challenger that is not there."""

    def learn(self, labels: Labels) -> None:
        """Learn nothing."""

    def learn_spend(self, features: Floats, silent: Floats, realised: list[float]) -> None:
        """Learn nothing."""


def _learn(learner: Learner, examples: list[Example]) -> float:
    """Learn a training log, and return the seconds of CPU time that it took."""
    began = time.process_time()
    for offset in range(0, len(examples), _RECORD):
        some = examples[offset : offset + _RECORD]
        for _ in learner.learn(offset, Training(Watermark(0, some[-1].labelled_at), some)):
            learner.drifts.clear()  # as a snapshot does
    return time.process_time() - began


def _features(draw: np.random.Generator, count: int, plans: float, signs: float) -> Floats:
    """Return (count, F) facts about customers who buy about once in ten days."""
    found = {
        "recency": draw.exponential(20.0, count),
        "visits": draw.geometric(0.05, count),
        "tenure": draw.uniform(20.0, 700.0, count),
        "visits_7": draw.exponential(0.7, count),
        "visits_30": draw.exponential(3.0, count),
        "visits_90": draw.exponential(9.0, count),
        "mean_spend": draw.lognormal(3.0, 1.0, count),
        "onboarding": draw.exponential(3.0, count),
        "services": draw.integers(1, 5, count),
        "family": np.where(draw.random(count) < plans, draw.integers(1, _FAMILIES, count), 0),
        "plan_days": draw.uniform(0.0, 400.0, count),
        "day": _T0_DAY + np.arange(count) * (365.0 / count),
    }
    found["plan"] = found["family"]
    some = np.random.default_rng(1).random(count) < signs
    for name, most in _MOST_SIGNS.items():
        found[name] = np.where(some, draw.integers(0, most, count), 0) if signs else np.zeros(count)
    return np.column_stack([np.asarray(found[name], np.float64) for name in FEATURES])


def _example(number: int, features: list[float], silent: bool) -> Example:  # noqa: FBT001
    at = (_T0_DAY + 30) * _DAY_MS + number
    return Example(
        origin=Identity(0, number, 0),
        at=at,
        labelled_at=at,
        features=features,
        silent=silent,
        predicted=0.4,
        heuristic=0.4,
        model=1,
        recent=True,
    )
