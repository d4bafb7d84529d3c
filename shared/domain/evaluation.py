"""Prequential metrics: how good the predictions were that were made before the labels were known.

Each label is scored with the probability predicted when its snapshot was taken (Gama, Sebastiao &
Rodrigues 2013, doi 10.1007/s10994-012-5320-9). Ranking metrics come from counts on a fine grid of
log odds, so the state has a fixed size, merges by addition and travels as JSON.
"""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

GRID: Final = 2048  # cells of log odds for AUC and PR-AUC
CLIP: Final = 1e-4  # probabilities are clipped here for the log loss and the grid
ECE_BINS: Final = 10
BLOCK: Final = 1000  # labels in one block of the recent window
BLOCKS: Final = 5

_EDGE: Final = math.log((1 - CLIP) / CLIP)
_CELLS: Final = GRID / (2 * _EDGE)


class Tally:
    """Sums from which every metric of a set of (probability, outcome) pairs follows.

    >>> tally = Tally()
    >>> for p, y in [(0.9, True), (0.8, True), (0.2, False), (0.4, True)]:
    ...     tally.update(p, y)
    >>> round(tally.auc(), 3), round(tally.brier(), 4), tally.n
    (1.0, 0.1125, 4)
    """

    def __init__(self) -> None:
        self.n = 0
        self.positives = 0
        self.log_loss_sum = 0.0
        self.brier_sum = 0.0
        self.grid = [[0] * GRID, [0] * GRID]  # outcome, cell of log odds
        self.bin_n = [0] * ECE_BINS
        self.bin_p = [0.0] * ECE_BINS
        self.bin_y = [0] * ECE_BINS

    def update(self, p: float, y: int) -> None:
        """Add one prediction (probability) and its outcome."""
        loss, error, cell, decile = _scored(p, y)
        self.n += 1
        self.positives += y
        self.log_loss_sum += loss
        self.brier_sum += error
        self.grid[int(y)][cell] += 1
        self.bin_n[decile] += 1
        self.bin_p[decile] += p
        self.bin_y[decile] += y

    def merge(self, other: Tally) -> None:
        """Add another tally's pairs to this one."""
        self.n += other.n
        self.positives += other.positives
        self.log_loss_sum += other.log_loss_sum
        self.brier_sum += other.brier_sum
        for mine, theirs in zip(self._lists(), other._lists(), strict=True):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]

    def _lists(self) -> list[list[Any]]:
        return [*self.grid, self.bin_n, self.bin_p, self.bin_y]

    def base_rate(self) -> float:
        """Share of positive outcomes; NaN without labels."""
        return self.positives / self.n if self.n else math.nan

    def log_loss(self) -> float:
        """Mean negative log likelihood, natural log; NaN without labels."""
        return self.log_loss_sum / self.n if self.n else math.nan

    def brier(self) -> float:
        """Mean squared error of the probability; NaN without labels."""
        return self.brier_sum / self.n if self.n else math.nan

    def ece(self) -> float:
        """Return the calibration error over ten bins of equal width (Naeini et al. 2015)."""
        gaps = zip(self.bin_p, self.bin_y, strict=True)
        return sum(abs(p - y) for p, y in gaps) / self.n if self.n else math.nan

    def reliability(self) -> list[tuple[int, float, float]]:
        """Return (n, mean predicted, observed rate) of each bin that has labels."""
        bins = zip(self.bin_n, self.bin_p, self.bin_y, strict=True)
        return [(n, p / n, y / n) for n, p, y in bins if n]

    def auc(self) -> float:
        """Area under the ROC curve, ties within a grid cell count half; NaN for one class."""
        negatives, positives = self._counts()
        if not positives.sum() or not negatives.sum():
            return math.nan
        below = np.cumsum(negatives) - negatives
        wins = float((positives * (below + 0.5 * negatives)).sum())
        return wins / (float(positives.sum()) * float(negatives.sum()))

    def pr_auc(self) -> float:
        """Average precision (the step-wise area under precision and recall); NaN for one class."""
        negatives, positives = (counts[::-1] for counts in self._counts())
        if not positives.sum() or not negatives.sum():
            return math.nan
        hits = np.cumsum(positives)
        precision = hits / np.maximum(hits + np.cumsum(negatives), 1.0)
        return float((positives * precision).sum() / positives.sum())

    def _counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.grid[0], np.float64), np.array(self.grid[1], np.float64)

    def report(self) -> dict[str, float]:
        """Return all metrics under the names that users see."""
        return {
            "n": self.n,
            "base_rate": self.base_rate(),
            "auc": self.auc(),
            "pr_auc": self.pr_auc(),
            "log_loss": self.log_loss(),
            "brier": self.brier(),
            "ece": self.ece(),
        }

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values; the grid is sparse."""
        grid = [[[i, c] for i, c in enumerate(counts) if c] for counts in self.grid]
        sums = {"log_loss": self.log_loss_sum, "brier": self.brier_sum}
        bins = {"n": self.bin_n[:], "p": self.bin_p[:], "y": self.bin_y[:]}
        return {"n": self.n, "positives": self.positives, **sums, "grid": grid, "bins": bins}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Tally:
        """Restore what `dump` returned."""
        tally = cls()
        tally.n, tally.positives = state["n"], state["positives"]
        tally.log_loss_sum, tally.brier_sum = state["log_loss"], state["brier"]
        for counts, sparse in zip(tally.grid, state["grid"], strict=True):
            for cell, count in sparse:
                counts[cell] = count
        bins = state["bins"]
        tally.bin_n, tally.bin_p, tally.bin_y = bins["n"][:], bins["p"][:], bins["y"][:]
        return tally


@lru_cache(maxsize=1)  # a label goes into several tallies, one right after the other
def _scored(p: float, y: int) -> tuple[float, float, int, int]:
    """Return log loss and squared error of a prediction, its cell of the grid, and its bin."""
    clipped = min(max(p, CLIP), 1 - CLIP)
    loss = -math.log(clipped if y else 1 - clipped)
    cell = int((math.log(clipped / (1 - clipped)) + _EDGE) * _CELLS)
    decile = min(int(p * ECE_BINS), ECE_BINS - 1)
    return loss, (p - y) ** 2, min(max(cell, 0), GRID - 1), decile


class Window:
    """A tally of the newest labels: of the last `blocks` blocks, the newest being filled.

    Parameters
    ----------
    blocks
        How many; each is of `BLOCK` labels.

    """

    def __init__(self, blocks: int) -> None:
        self._blocks: deque[Tally] = deque([Tally()], maxlen=blocks)

    def update(self, p: float, y: int) -> None:
        """Add a label with the probability that was predicted at its snapshot."""
        if self._blocks[-1].n >= BLOCK:
            self._blocks.append(Tally())
        self._blocks[-1].update(p, y)

    def tally(self) -> Tally:
        """Return the tally of all of them."""
        found = Tally()
        for block in self._blocks:
            found.merge(block)
        return found

    def dump(self) -> list[dict[str, Any]]:
        """Return the state as JSON values."""
        return [block.dump() for block in self._blocks]

    @classmethod
    def load(cls, state: list[dict[str, Any]], blocks: int) -> Window:
        """Restore what `dump` returned."""
        window = cls(blocks)
        window._blocks = deque(map(Tally.load, state), maxlen=blocks)
        return window


class Prequential:
    """Metrics over all labels and over the recent ones (the last 4,000 to 5,000)."""

    def __init__(self) -> None:
        self.total = Tally()
        self._window = Window(BLOCKS)

    def update(self, p: float, y: int) -> None:
        """Add a label with the probability that was predicted at its snapshot."""
        self.total.update(p, y)
        self._window.update(p, y)

    def recent(self) -> Tally:
        """Return the tally of the recent window."""
        return self._window.tally()

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {"total": self.total.dump(), "blocks": self._window.dump()}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Prequential:
        """Restore what `dump` returned."""
        metrics = cls()
        metrics.total = Tally.load(state["total"])
        metrics._window = Window.load(state["blocks"], BLOCKS)
        return metrics
