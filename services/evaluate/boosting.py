"""LightGBM on the same snapshots, as a team would retrain it."""

from __future__ import annotations

from typing import Any, Final, Self

import lightgbm
import numpy as np

from services.evaluate.anchors import Said
from shared.domain.features import FEATURES, Floats
from shared.domain.forecasts import Mask
from shared.domain.hazard import FACTS, Steps, facts_of, moving, still
from shared.domain.losses import CLIP

_LEAST: Final = 200  # labels; fewer train nothing
_CODES: Final = [FEATURES.index(name) for name in ("plan", "family")]
_PLAN_DAYS: Final = FEATURES.index("plan_days")
_SPEND: Final = [FEATURES.index(name) for name in ("visits", "mean_spend")]
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "num_threads": 1,  # several that wait for each other on busy cores take many times as long
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

    def __init__(self, steps: Steps, codes: list[Floats]) -> None:
        self._model: Any = None
        self._steps = steps
        self._codes = codes  # known ones of each column of codes, ascending

    @classmethod
    def fit(cls, features: Floats, y: Mask, horizon_days: float, *, plans: bool) -> Self | None:
        """Train on labels (n, F) and (n,); None while they are few, or all the same."""
        if len(y) < _LEAST or y.all() or not y.any():
            return None
        codes = [np.unique(features[:, j]) for j in _CODES] if plans else []
        found = cls(Steps.of(horizon_days), codes)
        x = found._columns(features)
        named = [f"f{number}" for number in range(x.shape[1])]
        # Codes are unordered; they come last.
        unordered = named[len(named) - len(codes) :]
        data = lightgbm.Dataset(x, y, feature_name=named, categorical_feature=unordered)
        found._model = lightgbm.train(_PARAMETERS, data, _TREES)
        return found

    def say(self, features: Floats) -> Said:
        """Return the probability of what was learned for customers (n, F), as rank too."""
        p = np.clip(np.asarray(self._model.predict(self._columns(features))), CLIP, 1.0 - CLIP)
        return p, p

    def _columns(self, features: Floats) -> Floats:
        facts = facts_of(features)
        derived = still(facts) + moving(facts, self._steps, 0.0, self._steps.horizon)
        spend = features[:, _SPEND].prod(axis=1)
        chosen = [features[:, FACTS], *derived, spend]
        if self._codes:
            chosen.append(features[:, _PLAN_DAYS])
            # As they are, they are far apart, which LightGBM complains of to standard output.
            pairs = zip(_CODES, self._codes, strict=True)
            chosen += [_numbered(features[:, j], known) for j, known in pairs]
        return np.column_stack(chosen)


def _numbered(codes: Floats, known: Floats) -> Floats:
    """Return the numbers of codes among the known ones, -1 (missing) for others."""
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[at] == codes, at, -1.0)
