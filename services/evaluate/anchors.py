"""What else could have been said of the same snapshots: simpler models, and batch models.

Each anchor is as honest as the model beside it: what is said of a snapshot comes of what was known
when it was taken. Batch models are trained anew every four weeks, and at the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from services.evaluate.service import AtCut, EvaluationError
from shared.domain.features import FEATURES, Floats
from shared.domain.forecasts import Base, Labels, Mask, Outcome
from shared.domain.policy import DAY_MS

RETRAIN_MS: Final = 28 * DAY_MS
#: By what customers are ranked (the larger, the likelier), and the probability: of silence, or of
#: an account closed.
Said = tuple[Floats, Floats]

_RECENCY: Final = FEATURES.index("recency")
_PLAN: Final = FEATURES.index("plan")


class Known(Protocol):
    """What `Labels` and `Base` have in common."""

    @property
    def features(self) -> Floats:
        """What is known of customers, (n, F)."""

    @property
    def heuristic(self) -> Floats:
        """Return the heuristic's probability of silence (n,)."""


class BatchModel(Protocol):
    """A model that is trained as a whole."""

    def say(self, features: Floats) -> Said:
        """Return what it says of customers (n, F)."""


#: Trains on the labels whose outcome was known by a time, and on all snapshots taken by then;
#: None while there are too few.
Train = Callable[[Labels, Labels], BatchModel | None]
Models = dict[str, Train]


class Anchors:
    """Tells what each anchor says.

    Parameters
    ----------
    labels
        Of the whole history.
    horizon_days
        H.
    batch
        Whether to train batch models too.

    """

    def __init__(self, labels: Labels, horizon_days: float, *, batch: bool) -> None:
        self._labels = labels
        self._horizon = horizon_days
        self._models = _batch_models(labels, horizon_days) if batch else {}
        self._closing = _closing_models(labels, horizon_days) if batch else {}

    @cached_property
    def at_labels(self) -> dict[str, Said]:
        """What was said of each label's snapshot, (n,): silence."""
        batch = {name: self._in_turn(train) for name, train in self._models.items()}
        return self._cheap(self._labels) | batch

    def at_cut(self, cut: AtCut) -> dict[str, Said]:
        """Return what was said of each customer at the cut, (n,): silence."""
        batch = {
            name: _heuristic(cut.base) if model is None else model.say(cut.base.features)
            for name, model in self._at(cut, self._models)
        }
        return self._cheap(cut.base) | batch

    def closed_at_cut(self, cut: AtCut) -> dict[str, Said]:
        """Return what was said of each customer at the cut, (n,): an account closed."""
        return {
            name: model.say(cut.base.features)
            for name, model in self._at(cut, self._closing)
            if model is not None
        }

    def _at(self, cut: AtCut, models: Models) -> Iterator[tuple[str, BatchModel | None]]:
        return ((name, self._trained(train, cut.base.at)) for name, train in models.items())

    def _cheap(self, known: Labels | Base) -> dict[str, Said]:
        """Return what needs no training."""
        recency = known.features[:, _RECENCY]
        p = recency / (recency + self._horizon)
        return {"recency": (p, p), "heuristic": _heuristic(known)}

    def _in_turn(self, train: Train) -> Said:
        """Train every four weeks, and say of each snapshot what the newest model then said."""
        labels = self._labels
        rank, p = (each.copy() for each in _heuristic(labels))
        turn = labels.at // RETRAIN_MS
        for each in np.unique(turn).tolist():
            model = self._trained(train, each * RETRAIN_MS)
            if model is not None:
                now = turn == each
                rank[now], p[now] = model.say(labels.features[now])
        return rank, p

    def _trained(self, train: Train, at: int) -> BatchModel | None:
        labels = self._labels
        return train(labels.where(labels.labelled_at <= at), labels.where(labels.at <= at))


def _heuristic(known: Known) -> Said:
    return known.heuristic, known.heuristic


def _batch_models(labels: Labels, horizon_days: float) -> Models:
    """Return the batch models of silence that there are.

    Raises
    ------
    EvaluationError
        A package that they need is not installed.

    """
    check_batch_models()
    from services.evaluate.mbg_nbd import MbgNbd  # noqa: PLC0415 - an extra, and slow to import

    found: Models = {"mbg_nbd": lambda _, taken: MbgNbd.fit(taken, horizon_days)}
    return found | _boosted(labels, horizon_days, lambda came: came.silent)


def _closing_models(labels: Labels, horizon_days: float) -> Models:
    """Return those of accounts closed, if there are any."""
    if not labels.outcome.closed.any():
        return {}
    return _boosted(labels, horizon_days, lambda came: came.closed)


def _boosted(labels: Labels, horizon_days: float, pick: Callable[[Outcome], Mask]) -> Models:
    from services.evaluate.boosting import Boosting  # noqa: PLC0415 - an extra, and slow to import

    def trained(*, plans: bool) -> Train:
        return lambda known, _: Boosting.fit(
            known.features, pick(known.outcome), horizon_days, plans=plans
        )

    found: Models = {"lightgbm": trained(plans=False)}
    if bool(labels.features[:, _PLAN].any()):
        found["lightgbm_plan"] = trained(plans=True)
    return found


def check_batch_models() -> None:
    """Make sure that batch models can be trained.

    Raises
    ------
    EvaluationError
        A package that they need is not installed.

    """
    try:
        import lightgbm  # noqa: F401, PLC0415
    except (ImportError, OSError) as error:
        raise EvaluationError(
            f"--anchors needs LightGBM ({error}): pip install 'tenure[anchors]'"
        ) from None
