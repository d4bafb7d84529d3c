"""Who has not paid yet, ranked by the chance to within a horizon: a lead score.

Rates of first payment are counted, by the stage of the lead and by how long it is known (a
piecewise exponential model; Friedman 1982, doi 10.1214/aos/1176345693), each shrunk to the one that
is coarser, and a source stands for a factor by which its leads pay more often than these rates
expect (indirect standardisation; Breslow & Day 1987, ch. 2)::

    rate(age)        = (paid(age) + 1) / (days(age) + days of the base that one payment takes)
    rate(stage, age) = (paid(stage, age) + K rate(age)) / (days(stage, age) + K)
    factor(source)   = (paid(source) + M) / (expected(source) + M)
    chance           = 1 - exp(-factor x sum over the horizon's days of rate(stage, age))

A lead is everybody who was first heard of before paying anything, and paying is an own purchase or
what the system charged. Days end with the first payment, or with the end of the account.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.acquisition import UNKNOWN
from shared.domain.outputs import Score
from shared.domain.policy import DAY_MS

#: Ages (days) at which another rate begins.
BANDS: Final = (0.0, 7.0, 30.0, 90.0)
#: Statuses by which leads are told apart; of all others it is not said where they stand.
STAGES: Final = frozenset({"lead", "qualified", "opportunity", "trial_started"})
NO_STAGE: Final = "known"
#: Days of a stage beside which the rate of all stages stands.
_K_DAYS: Final = 300.0
#: Payments beside which a source is as all are.
_M: Final = 5.0
_EDGES: Final = (*BANDS, math.inf)


class Lead(Struct, frozen=True, gc=False):
    """How a customer came to pay, or did not yet. Times are epoch milliseconds.

    Attributes
    ----------
    since
        First heard of.
    stages
        Where the lead stood, and from when on.
    paid_at, ended_at
        When anything was paid first; when the account was closed before.

    """

    since: int
    stages: list[tuple[int, str]]
    paid_at: int | None = None
    ended_at: int | None = None


class Chance(Struct, frozen=True):
    """A lead's chance to pay within the horizon.

    Attributes
    ----------
    customer, stage, source
        Who, where the lead stands (``known`` where no event said), by what it came.
    since
        First heard of, epoch milliseconds.
    chance
        Probability.
    lift
        The same over the mean of all leads.

    """

    customer: str
    stage: str
    source: str
    since: int
    chance: float
    lift: float


class Known(Struct, frozen=True):
    """A customer who is or was a lead, and by what the customer came."""

    customer: str
    source: str
    lead: Lead


def follow(lead: Lead | None, score: Score, *, known: bool) -> Lead | None:
    """Return what is known of a lead after a score; None for who was never one.

    Parameters
    ----------
    lead
        Before it.
    score
        A score that is new.
    known
        Whether there was a score before.

    """
    paid, at, stage = score.spend > 0.0 or score.revenue > 0.0, score.at, _stage(score)
    if lead is None:
        never = known or paid or score.closed
        return None if never else Lead(score.stage_since, [(score.stage_since, stage)])
    if lead.paid_at is not None:
        return lead
    if paid:
        # What the system charged is no activity.
        last = score.last_activity
        return replace(lead, paid_at=last if last >= lead.stages[-1][0] else at, ended_at=None)
    if score.closed:
        return replace(lead, ended_at=lead.ended_at or at)
    stages = lead.stages if stage == lead.stages[-1][1] else [*lead.stages, (at, stage)]
    return replace(lead, ended_at=None, stages=stages)


def _stage(score: Score) -> str:
    status = score.profile.status
    return status if status in STAGES else NO_STAGE


class Rates:
    """Rates of first payment, counted from all leads.

    Parameters
    ----------
    leads
        All that were ever heard of.
    now
        Epoch milliseconds.

    """

    def __init__(self, leads: Sequence[Known], now: int) -> None:
        self._days: defaultdict[tuple[str, int], float] = defaultdict(float)
        self._paid: defaultdict[tuple[str, int], float] = defaultdict(float)
        self._factors: dict[str, float] = {}
        self._base = _BASE
        for each in leads:
            for stage, band, days in _spans(each.lead, now):
                self._days[stage, band] += days
            if each.lead.paid_at is not None:
                self._paid[_last(each.lead)] += 1.0
        days, paid = sum(self._days.values()), sum(self._paid.values())
        self._base = (paid + 1.0) / (days + 1.0 / _BASE)
        self._factors = self._of_sources(leads, now)

    def chance(self, known: Known, now: int, horizon_days: float) -> float:
        """Return the chance that a lead pays within so many days from ``now`` (epoch ms) on."""
        stage, age = known.lead.stages[-1][1], _age(known.lead, now)
        expected = sum(
            self.rate(stage, band) * days for band, days in _bands(age, age + horizon_days)
        )
        return -math.expm1(-self._factors.get(known.source, 1.0) * expected)

    def rate(self, stage: str, band: int) -> float:
        """Return payments a day of leads in a stage, at an age."""
        of_age = self._of_age(band)
        paid, days = self._paid.get((stage, band), 0.0), self._days.get((stage, band), 0.0)
        return (paid + _K_DAYS * of_age) / (days + _K_DAYS)

    def _of_age(self, band: int) -> float:
        paid = sum(count for (_, at), count in self._paid.items() if at == band)
        days = sum(count for (_, at), count in self._days.items() if at == band)
        return (paid + 1.0) / (days + 1.0 / self._base)

    def _of_sources(self, leads: Sequence[Known], now: int) -> dict[str, float]:
        rates = {cell: self.rate(*cell) for cell in self._days}
        expected: defaultdict[str, float] = defaultdict(float)
        paid: defaultdict[str, float] = defaultdict(float)
        for each in leads:
            spans = _spans(each.lead, now)
            expected[each.source] += sum(rates[stage, band] * days for stage, band, days in spans)
            paid[each.source] += each.lead.paid_at is not None
        return {name: (paid[name] + _M) / (expected[name] + _M) for name in expected}


#: Payments a day before any lead was seen: one in a year.
_BASE: Final = 1.0 / 365.0


def ranked(
    leads: Sequence[Known], now: int, horizon_days: float, most: int | None = None
) -> list[Chance]:
    """Return who has not paid yet, the likeliest to first.

    Parameters
    ----------
    leads
        All that were ever heard of.
    now
        Epoch milliseconds.
    horizon_days
        Within which the chance is told.
    most
        How many at the most.

    """
    rates = Rates(leads, now)
    waiting = [each for each in leads if _waits(each.lead)]
    chances = [rates.chance(each, now, horizon_days) for each in waiting]
    mean = sum(chances) / len(chances) if chances else 1.0
    found = [
        Chance(
            each.customer, each.lead.stages[-1][1], each.source, each.lead.since, chance,
            chance / mean,
        )
        for each, chance in zip(waiting, chances, strict=True)
    ]  # fmt: skip
    return sorted(found, key=lambda each: (-each.chance, each.customer))[:most]


def known_of(customer: str, source: str | None, lead: Lead) -> Known:
    """Return a lead with its source, ``none`` where no event named one."""
    return Known(customer, source or UNKNOWN, lead)


def _waits(lead: Lead) -> bool:
    return lead.paid_at is None and lead.ended_at is None


def _until(lead: Lead, now: int) -> int:
    ends = (lead.paid_at, lead.ended_at, now)
    return max(next(each for each in ends if each is not None), lead.since)


def _age(lead: Lead, at: int) -> float:
    return max(at - lead.since, 0) / DAY_MS


def _spans(lead: Lead, now: int) -> Iterator[tuple[str, int, float]]:
    """Yield the days of a lead by stage and age: (stage, number of the band, days)."""
    until = _until(lead, now)
    starts = [lead.since, *(min(max(at, lead.since), until) for at, _ in lead.stages[1:]), until]
    for (start, end), (_, stage) in zip(pairwise(starts), lead.stages, strict=True):
        for band, days in _bands(_age(lead, start), _age(lead, end)):
            yield stage, band, days


def _bands(start: float, end: float) -> Iterator[tuple[int, float]]:
    """Yield the days from an age to another in each band."""
    for band, (low, high) in enumerate(pairwise(_EDGES)):
        days = min(end, high) - max(start, low)
        if days > 0.0:
            yield band, days


def _last(lead: Lead) -> tuple[str, int]:
    """Return in which stage, and at what age, a lead paid."""
    age = _age(lead, lead.paid_at or lead.since)
    return lead.stages[-1][1], sum(age > edge for edge in BANDS[1:])
