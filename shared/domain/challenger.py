"""Whether a challenger beats the champion: both on the same labels, by what each said beforehand.

Each snapshot of a customer keeps what the champion said, which was served, and what the challenger
of the same version would have. Once the horizon is over, the difference of their log losses counts.

Labels depend on each other: those of a customer, those of a day, and all whose horizons overlap,
since what happens in a week (a holiday, a strike) is in each of them. So one observation is the
mean difference over all labels of one horizon's time, however many they are. That leaves few
observations, too few for the central limit theorem behind `shared.domain.uplift`. What is used
needs none: if a difference is as likely to be above its mean as so far below it, then
exp(l T - l^2 V / 2) of the sum T of the differences and the sum V of their squares is a
supermartingale for each l (de la Pena 1999, Annals of Probability 27; Howard, Ramdas, McAuliffe
& Sekhon 2020, doi 10.1214/18-PS321, lemma 3). Mixed over l > 0 by half a normal density it gives a
bound that holds at every look at once (the same 2021, doi 10.1214/20-AOS1991, the one-sided normal
mixture in closed form), so it may be looked at after each observation. That forecasters are to be
compared by such sequences: Choe & Ramdas (2024), doi 10.1287/opre.2021.0792.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from msgspec import Struct

from shared.domain.losses import log_loss
from shared.domain.outputs import Example
from shared.domain.policy import DAY_MS

#: How likely it is that any challenger is ever promoted wrongly, in a learner's whole life.
ERROR_RATE: Final = 0.05
#: Differences of two log losses as they are expected to be, a horizon's mean in nats, and horizons
#: after which the bound is tightest. Any numbers are valid that were chosen before the data came:
#: a smaller difference only takes longer to be told from none.
_USUAL: Final = 0.01
_TIGHTEST_AT: Final = 12
#: Value of V / rho at which the bound is least, for rates of error around these.
_BEST: Final = 8.3
_RHO: Final = _USUAL**2 * _TIGHTEST_AT / _BEST


class Interval(Struct, frozen=True):
    """Log loss of the challenger less the champion's, in nats; NaN before the first horizon."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it as people read it."""
        if math.isnan(self.estimate):
            return "-"
        return f"{self.estimate:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


class Promotion(Struct, frozen=True):
    """A challenger took the champion's place.

    Attributes
    ----------
    at, version
        Label time at which that was decided, epoch milliseconds; the first version that it is in.
    labels
        How many labels were compared.
    configuration
        How the new champion learns.
    difference
        What decided.

    """

    at: int
    version: int
    labels: int
    configuration: str
    difference: Interval


class Comparison(Struct):
    """Champion against challenger, up to the label seen last; a small part of a snapshot.

    Attributes
    ----------
    number
        Counts comparisons from 1: one ends when either is better with confidence.
    since
        The first version whose champion and challenger are those of today.
    labels, champion, challenger
        Labels on which they differed, and the sums of both log losses.
    horizons, total, squares
        Observations, their sum, and the sum of their squares.
    began, count, open
        The horizon under way: its first label's time (epoch ms; 0: none), its labels, and the sum
        of their differences.

    """

    number: int = 1
    since: int = 1
    labels: int = 0
    champion: float = 0.0
    challenger: float = 0.0
    horizons: int = 0
    total: float = 0.0
    squares: float = 0.0
    began: int = 0
    count: int = 0
    open: float = 0.0

    def said(self, example: Example) -> tuple[float, float]:
        """Return what today's champion and today's challenger said of an example.

        Where there was no challenger yet, both are held to what was served.
        """
        if example.challenger is None:
            return example.predicted, example.predicted
        if example.model < self.since:
            return example.challenger, example.predicted
        return example.predicted, example.challenger

    def take(self, example: Example, horizon_days: float) -> bool:
        """Take in a measured label in its order; True when it ends a horizon.

        Labels of which both said the same, such as those of a cold start, tell nothing.
        """
        counts = example.challenger is not None and example.model >= self.since
        if not counts or np.float32(example.predicted) == np.float32(example.challenger):
            return False
        ended = self.count > 0 and example.labelled_at >= self.began + horizon_days * DAY_MS
        if ended:
            self._observe()
        if not self.count:
            self.began = example.labelled_at
        losses = [log_loss(p, int(example.silent)) for p in self.said(example)]
        self.labels += 1
        self.count += 1
        self.champion += losses[0]
        self.challenger += losses[1]
        self.open += losses[1] - losses[0]
        return ended

    def _observe(self) -> None:
        mean = self.open / self.count
        self.horizons += 1
        self.total += mean
        self.squares += mean * mean
        self.count, self.open = 0, 0.0

    def difference(self) -> Interval:
        """Return how much is known of the difference: each bound may fail at `error_rate`."""
        if not self.horizons:
            return Interval(math.nan, math.nan, math.nan)
        reach = bound(self.squares, self.error_rate) / self.horizons
        mean = self.total / self.horizons
        return Interval(mean, mean - reach, mean + reach)

    @property
    def error_rate(self) -> float:
        """That of this comparison: over all that may ever follow they add up to `ERROR_RATE`."""
        return ERROR_RATE / (self.number * (self.number + 1))

    def next(self, since: int) -> Comparison:
        """Return the comparison that follows."""
        return Comparison(self.number + 1, since)

    def report(self) -> dict[str, Any]:
        """Return what people and programs are shown of it."""
        found = self.difference()
        return {
            "compared_labels": self.labels,
            "compared_horizons": self.horizons,
            "log_loss": self.champion / self.labels if self.labels else math.nan,
            "challenger_log_loss": self.challenger / self.labels if self.labels else math.nan,
            "difference": found.estimate,
            "difference_low": found.low,
            "difference_high": found.high,
        }


def bound(squares: float, error_rate: float) -> float:
    """Return what a sum of differences, given that of their squares, ever passes so rarely."""
    widened = squares + _RHO
    return math.sqrt(2.0 * widened * math.log(math.sqrt(widened / _RHO) / (2.0 * error_rate) + 1.0))
