"""LightGBM on the same snapshots, as a team would retrain it."""

from __future__ import annotations

from typing import Any, Final, Self

import lightgbm
import numpy as np

from services.evaluate.anchors import Said
from shared.domain.churn_scorer import CLIP
from shared.domain.features import FEATURES, Floats
from shared.domain.forecasts import Labels
from shared.domain.hazard import FACTS, Steps, facts_of, moving, still

_LEAST: Final = 200  # labels; fewer train nothing
_PLANS: Final = [FEATURES.index(name) for name in ("plan", "family", "plan_days")]
_SPEND: Final = [FEATURES.index(name) for name in ("visits", "mean_spend")]
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "num_threads": 2,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "verbosity": -1,
}
_TREES: Final = 200


class Boosting:
    """Gradient-boosted trees over the facts, what the churn model derives of them, and spend.

    Given plans, also the plan, its family and how long the customer has been on it.
    """

    def __init__(self, model: lightgbm.Booster, steps: Steps, *, plans: bool) -> None:
        self._model = model
        self._steps = steps
        self._plans = plans

    @classmethod
    def fit(cls, known: Labels, horizon_days: float, *, plans: bool) -> Self | None:
        """Train on labels; None while they are few, or all the same."""
        y = known.outcome.silent
        if len(y) < _LEAST or y.all() or not y.any():
            return None
        steps = Steps.of(horizon_days)
        x = _columns(known.features, steps, plans=plans)
        named = [f"f{number}" for number in range(x.shape[1])]
        # Codes are unordered; the last columns are plan, family and the days on the plan.
        codes = named[-3:-1] if plans else []
        data = lightgbm.Dataset(x, y, feature_name=named, categorical_feature=codes)
        return cls(lightgbm.train(_PARAMETERS, data, _TREES), steps, plans=plans)

    def say(self, features: Floats) -> Said:
        """Return the probability of silence for customers (n, F), as rank too."""
        x = _columns(features, self._steps, plans=self._plans)
        p = np.clip(np.asarray(self._model.predict(x)), CLIP, 1.0 - CLIP)
        return p, p


def _columns(features: Floats, steps: Steps, *, plans: bool) -> Floats:
    facts = facts_of(features)
    derived = still(facts) + moving(facts, steps, 0.0, steps.horizon)
    spend = features[:, _SPEND].prod(axis=1)[:, None]
    chosen = [features[:, FACTS], np.stack(derived, axis=1), spend]
    return np.hstack([*chosen, *([features[:, _PLANS]] if plans else [])])
