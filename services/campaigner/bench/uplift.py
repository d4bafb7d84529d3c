"""Campaigns whose effect is known: whether the interval holds it at every look, and finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from shared.domain.uplift import Interval, Sample, Stratum, uplift

Floats = NDArray[np.float64]
Estimator = Callable[[list[Stratum]], Interval | None]


class Population(NamedTuple):
    """Customers of a campaign, and what is true about them.

    Attributes
    ----------
    control
        Share that is held out.
    base, effect
        Share that stays without a contact, and what the contact adds to it.

    """

    customers: int = 20_000
    control: float = 0.5
    base: float = 0.3
    effect: float = 0.03


class Coverage(Struct, frozen=True):
    """What was seen in runs that were watched all along.

    Attributes
    ----------
    looks
        In each run.
    held
        Runs in which the interval held the true effect at every look.
    found
        Runs in which it excluded zero at some look, on the side of the effect.
    customers_until_found
        Median over those; ``None`` if there are none.

    """

    runs: int
    looks: int
    held: int
    found: int
    customers_until_found: float | None


def watch(
    population: Population,
    *,
    runs: int = 200,
    every: int = 1,
    seed: int = 0,
    estimator: Estimator = uplift,
) -> Coverage:
    """Simulate runs of a campaign that is looked at after each ``every`` outcomes."""
    seen = [
        _run(population, np.random.default_rng((seed, run)), every, estimator)
        for run in range(runs)
    ]
    found = [at for _, at in seen if at is not None]
    return Coverage(
        runs=runs,
        looks=population.customers // every,
        held=sum(held for held, _ in seen),
        found=len(found),
        customers_until_found=float(np.median(found)) if found else None,
    )


def _run(
    population: Population, random: np.random.Generator, every: int, estimator: Estimator
) -> tuple[bool, int | None]:
    """Return whether the truth was held throughout, and after how many customers it was found."""
    held, found = True, None
    for customers, stratum in _looks(population, random, every):
        interval = estimator([stratum])
        if interval is None:
            continue
        held = held and interval.low <= population.effect <= interval.high
        if found is None and interval.low > 0:
            found = customers
    return held, found


def _looks(
    population: Population, random: np.random.Generator, every: int
) -> Iterator[tuple[int, Stratum]]:
    """Yield the sums as outcomes come in, one customer after the other."""
    control = random.random(population.customers) < population.control
    stays = population.base + np.where(control, 0.0, population.effect)
    outcome = (random.random(population.customers) < stays).astype(np.float64)
    arms = [_sums(outcome, ~control), _sums(outcome, control)]
    for last in range(every - 1, population.customers, every):
        treatment, held_out = (_sample(*(each[last] for each in arm)) for arm in arms)
        yield last + 1, Stratum(population.control, treatment, held_out)


def _sums(outcome: Floats, arm: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the running count and sum of an arm's outcomes."""
    return np.cumsum(arm, dtype=np.float64), np.cumsum(outcome * arm)


def _sample(n: float, total: float) -> Sample:
    return Sample(int(n), float(total), float(total))  # the square of 0 is 0, and of 1 is 1


#: What issue and documents quote: equal arms, and the small control group that is usual.
POPULATIONS: Final = {
    "3 points, equal arms": Population(),
    "no effect, equal arms": Population(effect=0.0),
    "3 points, a tenth held out": Population(control=0.1),
    "rare outcome, a tenth held out": Population(control=0.1, base=0.02, effect=0.005),
}
