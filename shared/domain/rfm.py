"""Recency, frequency, monetary value: quintiles of the base, and the names of segments.

Each active customer has a score of 1 to 5 in each dimension, its quintile (Hughes 1994, "Strategic
Database Marketing"): 5 are those last seen most recently, most often, spending most. Names go by
recency and by the mean of the other two, rounded up::

              1         2        3      4      5    frequency and money
    5, 4    new    potential   loyal  champions
    3       potential          loyal
    2       hibernating        at_risk
    1       lost               at_risk

Where one quintile ends and the next begins is a matter of the whole base, which no scorer sees. So
`Boundaries` are found once a day from the read model and told to every partition by its log.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Final, Literal, NamedTuple, get_args

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from shared.domain.dealings import ServiceUse
from shared.domain.features import DAY_MS

Segment = Literal["champions", "loyal", "potential", "new", "at_risk", "hibernating", "lost"]
SEGMENTS: Final[tuple[Segment, ...]] = get_args(Segment)
_CHAMPIONS, _LOYAL, _POTENTIAL, _NEW, _AT_RISK, _HIBERNATING, _LOST = range(len(SEGMENTS))

_CUTS: Final = (0.2, 0.4, 0.6, 0.8)
_HEAVY: Final = 0.8
#: Of fewer customers a fifth is so few that each newcomer would move the others.
LEAST: Final = 25
#: Services that may have heavy users, those with the most users: the record has to end somewhere.
MOST_SERVICES: Final = 64

#: Segment by recency (rows, 1 to 5) and by frequency and money (columns, 1 to 5).
_NAMES: Final = np.array(
    [
        [_LOST, _LOST, _AT_RISK, _AT_RISK, _AT_RISK],
        [_HIBERNATING, _HIBERNATING, _AT_RISK, _AT_RISK, _AT_RISK],
        [_POTENTIAL, _POTENTIAL, _LOYAL, _LOYAL, _LOYAL],
        [_NEW, _POTENTIAL, _LOYAL, _CHAMPIONS, _CHAMPIONS],
        [_NEW, _POTENTIAL, _LOYAL, _CHAMPIONS, _CHAMPIONS],
    ]
)

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
#: What the k-th of five quintiles ends with, for k of 1 to 4.
Cuts = tuple[float, float, float, float]


class Scores(NamedTuple):
    """Quintiles (n,), 1 to 5 each."""

    recency: Codes
    frequency: Codes
    monetary: Codes


class Boundaries(Struct, frozen=True, dict=True):
    """Where the quintiles of the base end.

    Attributes
    ----------
    version
        The base's time when they were found, epoch milliseconds: the highest holds. 0 is none.
    customers
        Of how many active customers they are.
    silence_days
        Days since the last activity, falling: who was silent for less is in a higher quintile.
    visits, spend
        Days with activity, and money spent: who has more is in a higher quintile.
    clv
        Lifetime value, of those who are worth something.
    services
        Use a day (over about 30 days) that only a fifth of a service's users exceed.

    """

    version: Annotated[int, Meta(ge=0)] = 0
    customers: Annotated[int, Meta(ge=0)] = 0
    silence_days: Cuts = (0.0, 0.0, 0.0, 0.0)
    visits: Cuts = (0.0, 0.0, 0.0, 0.0)
    spend: Cuts = (0.0, 0.0, 0.0, 0.0)
    clv: Cuts = (0.0, 0.0, 0.0, 0.0)
    services: Annotated[dict[str, float], Meta(max_length=MOST_SERVICES)] = {}

    def __post_init__(self) -> None:
        """Refuse boundaries that are out of order."""
        rising = (self.visits, self.spend, self.clv, self.silence_days[::-1])
        if any(low > high for cuts in rising for low, high in pairwise(cuts)):
            raise ValueError("each quintile must end where the next begins")

    def score(self, silence_days: Numbers, visits: Numbers, spend: Numbers) -> Scores:
        """Return the scores of n customers; equal values share a quintile.

        A customer is in quintile k + 1 when its value is over the k-th boundary, so that in a base
        of one-time buyers nobody is said to come often.
        """
        recency, frequency, monetary = self._cuts
        return Scores(
            _quintile(recency, -silence_days),
            _quintile(frequency, visits),
            _quintile(monetary, spend),
        )

    def value_band(self, clv: float) -> int:
        """Return the fifth of the base by lifetime value, 5 the best; 0 for who is worth nothing.

        >>> Boundaries(version=1, clv=(1.0, 2.0, 3.0, 4.0)).value_band(2.5)
        3
        """
        return 1 + sum(cut < clv for cut in self.clv) if self.version and clv > 0.0 else 0

    def heavily_used(self, services: Mapping[str, ServiceUse]) -> list[str]:
        """Return the services of a customer that only a fifth of their users use as much."""
        known = self.services
        heavily = (
            name for name, use in services.items() if use.per_day_30 > known.get(name, math.inf)
        )
        return sorted(heavily)

    @cached_property
    def _cuts(self) -> tuple[Numbers, Numbers, Numbers]:
        return -np.array(self.silence_days), np.array(self.visits), np.array(self.spend)


def _quintile(cuts: Numbers, values: Numbers) -> Codes:
    found: Codes = np.searchsorted(cuts, values, side="left") + 1
    return found


def named(scores: Scores) -> Codes:
    """Return the segment (n,) of each customer, an index into `SEGMENTS`."""
    depth = (scores.frequency + scores.monetary + 1) // 2
    found: Codes = _NAMES[scores.recency - 1, depth - 1]
    return found


# -- boundaries of a base


class Rate(Struct, frozen=True, gc=False):
    """What is asked of a customer's use of a service."""

    per_day_30: float


class Asked(Struct, frozen=True, gc=False):
    """What is asked of a customer's dealings."""

    services: dict[str, Rate] = {}
    paused_at: int | None = None


class Ranked(Struct, frozen=True, gc=False):
    """What is asked of a customer's last score; its first feature is recency in days."""

    at: int
    features: list[float]
    visits: int
    spend: float
    closed: bool
    clv: float = 0.0
    dealings: Asked = Asked()


def boundaries(base: Iterable[Ranked], now: int) -> Boundaries | None:
    """Return where the quintiles of a base end; None while it is too small to tell.

    Parameters
    ----------
    base
        Last scores, one a customer. Whoever was never active or has left does not count.
    now
        The base's time, epoch milliseconds: a silence goes on behind the score that told of it,
        unless the account is paused.

    """
    facts: list[tuple[float, float, float, float]] = []
    use: defaultdict[str, list[float]] = defaultdict(list)
    for one in base:
        if one.closed or not one.visits:
            continue
        since = 0 if one.dealings.paused_at else max(now - one.at, 0)
        facts.append((one.features[0] + since / DAY_MS, one.visits, one.spend, one.clv))
        for service, rate in one.dealings.services.items():
            use[service].append(rate.per_day_30)
    if len(facts) < LEAST:
        return None
    silence, visits, spend, clv = np.array(facts).T
    most_used = sorted(use, key=lambda name: (-len(use[name]), name))[:MOST_SERVICES]
    return Boundaries(
        version=now,
        customers=len(facts),
        silence_days=_negative(_ends(-silence)),
        visits=_ends(visits),
        spend=_ends(spend),
        clv=_ends(clv[clv > 0.0]),
        services={
            name: float(np.quantile(use[name], _HEAVY, method="inverted_cdf"))
            for name in most_used
            if len(use[name]) >= LEAST
        },
    )


def _ends(values: Numbers) -> Cuts:
    if not len(values):
        return 0.0, 0.0, 0.0, 0.0
    first, second, third, fourth = np.quantile(values, _CUTS, method="inverted_cdf").tolist()
    return first, second, third, fourth


def _negative(cuts: Cuts) -> Cuts:
    first, second, third, fourth = cuts
    return -first, -second, -third, -fourth
