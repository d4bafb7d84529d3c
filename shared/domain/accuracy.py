"""How good predictions were, from all pairs of what was said and what came true; exact.

`shared.domain.evaluation` has the same metrics as running sums of a fixed size.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.evaluation import ECE_BINS
from shared.domain.losses import CLIP

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LEAST: Final = 1e-12  # a money total below it is none


class Accuracy(NamedTuple):
    """Metrics of n probabilities; NaN where they are not defined (no labels, or one class).

    Attributes
    ----------
    auc
        Area under the ROC curve; ties count half.
    pr_auc
        Average precision, the step-wise area under precision and recall.
    log_loss
        Natural log, of probabilities clipped to [1e-4, 1 - 1e-4].
    ece
        Calibration error over ten bins of equal width (Naeini, Cooper & Hauskrecht 2015).

    """

    auc: float
    pr_auc: float
    log_loss: float
    brier: float
    ece: float
    base_rate: float
    n: int


_NOTHING: Final = Accuracy(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 0)


class Bin(NamedTuple):
    """A tenth of the probability: mean predicted, and the share that came true."""

    n: int
    predicted: float
    observed: float


def accuracy(p: Floats, y: Mask, rank: Floats | None = None) -> Accuracy:
    """Measure probabilities ``p`` (n,) against outcomes ``y`` (n,).

    Parameters
    ----------
    rank
        (n,) what to rank by in place of ``p``, larger for likelier.

    """
    if not len(p):
        return _NOTHING
    order = p if rank is None else rank
    said = np.clip(p, CLIP, 1.0 - CLIP)
    return Accuracy(
        auc=auc(order, y),
        pr_auc=average_precision(order, y),
        log_loss=float(-np.log(np.where(y, said, 1.0 - said)).mean()),
        brier=float(((p - y) ** 2).mean()),
        ece=sum(one.n * abs(one.predicted - one.observed) for one in reliability(p, y)) / len(p),
        base_rate=float(y.mean()),
        n=len(p),
    )


def auc(rank: Floats, y: Mask) -> float:
    """Return the chance that a positive ranks above a negative (Mann & Whitney 1947)."""
    positives = int(np.count_nonzero(y))
    negatives = len(y) - positives
    if not positives or not negatives:
        return math.nan
    above = ranks(rank)[y].sum() - positives * (positives + 1) / 2.0
    return float(above / (positives * negatives))


def ranks(values: Floats) -> Floats:
    """Return the rank (n,) of each value, from 1; ties share the mean of theirs.

    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    shared: Floats = (last - (count - 1) / 2.0)[place]
    return shared


def average_precision(rank: Floats, y: Mask) -> float:
    """Return the mean over the positives of the precision at their place; ties are one place."""
    positives = int(np.count_nonzero(y))
    if positives in {0, len(y)}:
        return math.nan
    order = np.argsort(-rank, kind="stable")
    last = np.flatnonzero(np.diff(rank[order], append=math.nan) != 0.0)
    hits = np.cumsum(y[order])[last]
    precision = hits / (last + 1.0)
    return float((np.diff(hits, prepend=0) * precision).sum() / positives)


def reliability(p: Floats, y: Mask) -> list[Bin]:
    """Return the tenths of the probability that have labels, lowest first."""
    tenth = np.minimum((p * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    n, said, came = (
        np.bincount(tenth, weights, ECE_BINS) for weights in (None, p, y.astype(np.float64))
    )
    return [
        Bin(int(n[each]), float(said[each] / n[each]), float(came[each] / n[each]))
        for each in np.flatnonzero(n).tolist()
    ]


def spearman(a: Floats, b: Floats) -> float:
    """Return the rank correlation (Spearman 1904); NaN when either is constant."""
    left, right = ranks(a), ranks(b)
    left, right = left - left.mean(), right - right.mean()
    scale = math.sqrt(float((left**2).sum()) * float((right**2).sum()))
    return float((left * right).sum()) / scale if scale else math.nan


def top_decile_share(rank: Floats, amount: Floats) -> float:
    """Return the share of an amount that the tenth ranked highest holds; NaN of nothing."""
    top = np.argsort(-rank, kind="stable")[: math.ceil(len(rank) / 10)]
    total = float(amount.sum())
    return float(amount[top].sum()) / total if abs(total) > _LEAST else math.nan
