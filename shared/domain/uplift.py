"""What a campaign achieved: treatment against control, with an interval that may be watched.

Who looks at a fixed-sample interval again and again will see it miss the truth sooner or later.
The interval here is an asymptotic confidence sequence: with probability .95 it holds the truth at
every look at once, so a campaign may be stopped, or prolonged, because of what it shows.

It is Robbins' normal mixture, studentised: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024),
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52,
theorem 2.2; the boundary is that of Howard, Ramdas, McAuliffe & Sekhon (2021), doi
10.1214/20-AOS1991, proposition 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

#: One minus the confidence.
ALPHA: Final = 0.05
#: Customers at which the interval is as narrow as it can be, about 1.55 times a fixed-sample one.
#: Fixed in advance: any number is valid, one that was chosen by looking at the data is not.
TIGHTEST_AT: Final = 10_000
#: Customers an arm needs before there is an interval: it rests on the central limit theorem.
LEAST: Final = 50

#: Value of r at which `_widening` is least; -W(-alpha^2 / e) - 1, W the lower branch of Lambert's.
_BEST: Final = 8.3
#: Weight of the prior of `balance`, in customers: narrow enough to see a small mismatch soon.
_PRIOR: Final = 100.0


class Sample(NamedTuple):
    """Outcomes of one arm: how many, their sum and the sum of their squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, other: Sample) -> Sample:
        """Return both together."""
        return Sample(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Mean outcome; 0 of nobody."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Unbiased variance of an outcome; 0 of fewer than two."""
        if self.n < 2:  # noqa: PLR2004
            return 0.0
        return max(self.squares - self.n * self.mean**2, 0.0) / (self.n - 1)


class Stratum(NamedTuple):
    """Customers who were drawn with the same control share: only those may be compared."""

    control_share: float
    treatment: Sample
    control: Sample

    @property
    def n(self) -> int:
        """Customers in both arms."""
        return self.treatment.n + self.control.n

    @property
    def tells(self) -> bool:
        """Whether the arms are large enough to be compared."""
        return min(self.treatment.n, self.control.n) >= LEAST


class Interval(Struct, frozen=True):
    """An estimate and its 95 % confidence sequence at this look."""

    estimate: float
    low: float
    high: float


class Balance(Struct, frozen=True):
    """Whether the arms are as large as they were meant to be.

    Attributes
    ----------
    expected_control
        Customers that the control groups should have by their shares.
    control
        Customers that they have.
    p_value
        Valid at every look; below .001 the comparison is not to be trusted.

    """

    expected_control: float
    control: int
    p_value: float


def uplift(strata: Iterable[Stratum]) -> Interval | None:
    """Return the mean outcome under treatment less that under control.

    Strata are weighted by their size, so that a control share that was changed while base rates
    drifted does not pass for an effect. ``None`` while there are too few customers to tell.
    """
    told = [each for each in strata if each.tells]
    n = sum(each.n for each in told)
    if n == 0:
        return None
    estimate = sum(each.n / n * (each.treatment.mean - each.control.mean) for each in told)
    variance = sum((each.n / n) ** 2 * _variance(each) for each in told)
    if variance == 0.0:  # everybody did the same: nothing is known of how much they vary
        return None
    half = math.sqrt(variance) * _widening(n)
    return Interval(estimate, estimate - half, estimate + half)


def balance(counts: Sequence[tuple[float, int, int]]) -> Balance:
    """Test for a sample-ratio mismatch, at any time and as often as one likes.

    The sequential multinomial test of Lindon & Malek (2022), "Anytime-valid inference for
    multinomial count data", NeurIPS 35: a Bayes factor against the intended shares, whose inverse
    is a p-value at every look (Ville's inequality). Factors of different shares multiply.

    Parameters
    ----------
    counts
        (control share, customers in treatment, customers in control), each share once.

    """
    factor = sum(_log_bayes_factor(*each) for each in counts if 0 < each[0] < 1)
    expected = sum(share * (treatment + control) for share, treatment, control in counts)
    controls = sum(control for _, _, control in counts)
    return Balance(expected, controls, min(1.0, math.exp(-max(factor, 0.0))))


def _variance(stratum: Stratum) -> float:
    """Return the variance of the difference of the arms' means.

    An arm's outcomes are taken to vary no less than those of both arms together: a small control
    group that has not met a rare outcome yet would claim to know too much.
    """
    arms = (stratum.treatment, stratum.control)
    pooled = sum((each.n - 1) * each.variance for each in arms) / (stratum.n - 2)
    return sum(max(each.variance, pooled) / each.n for each in arms)


def _widening(n: int) -> float:
    """Return how many standard errors the interval reaches to each side at ``n`` customers."""
    r = _BEST * n / TIGHTEST_AT
    return math.sqrt((1 + 1 / r) * math.log((1 + r) / ALPHA**2))


def _log_bayes_factor(share: float, treatment: int, control: int) -> float:
    """Return the log of the Dirichlet-multinomial over the intended multinomial likelihood."""
    n = treatment + control
    factor = math.lgamma(_PRIOR) - math.lgamma(_PRIOR + n)
    for intended, count in ((1 - share, treatment), (share, control)):
        prior = _PRIOR * intended
        factor += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(intended)
    return factor
