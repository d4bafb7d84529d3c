"""Scoring for backtests: nobody reads the scores, so only what learning needs is computed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shared.domain.customer import Rows
from shared.domain.emission import Step
from shared.domain.features import Floats, Millis, feature_matrix
from shared.domain.labels import next_due
from shared.domain.scoring import Scoring
from shared.domain.wheel import Slots


class Rehearsal(Scoring):
    """Emits nothing, and looks at a silent customer only to take a snapshot or to label one.

    Examples are those of `Scoring` bit for bit, provided that horizon and grace are whole days;
    stages stand still.
    """

    is_read: ClassVar[bool] = False

    def score(self, step: Step, told: NDArray[np.bool_] | None = None) -> Floats:
        """Return the features (n, F)."""
        del told
        return feature_matrix(step.rows, step.now)

    def next_review(self, rows: Rows, now: Millis) -> Slots:
        """Return the mark (n,) of each customer's next snapshot or label, the sooner."""
        return next_due(rows, now, self.policy)
