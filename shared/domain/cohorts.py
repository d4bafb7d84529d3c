"""Retention by cohort: of those who came in a month, or by a source, how many are still coming.

Retention is unbounded: a customer is retained in month k after acquisition who was active in that
calendar month (UTC) or in any later one (as in Amplitude's and Mixpanel's retention reports). It
follows from first and last activity alone, so it is the same after every replay, and a pause does
not count as a loss. What it costs: whoever pauses now and comes back later is counted as lost until
then, so the last months of a cohort read low, and rise afterwards. Only months that have ended are
counted, besides the first: everybody was active in that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from msgspec import Struct

from shared.domain.acquisition import Acquired, source_of

CohortBy = Literal["month", "source"]
COHORTS_BY: Final[tuple[CohortBy, ...]] = get_args(CohortBy)

_MONTHS: Final = 12


class Cohort(Struct, frozen=True):
    """Customers who were acquired together. Acquired is who was active for the first time.

    Attributes
    ----------
    name
        The month of acquisition (``2026-11``), or the source.
    customers
        How many they are.
    reached
        By months since acquisition, from 0 on: how many were acquired long enough ago.
    retained
        Of these, how many were active in that month or later.

    """

    name: str
    customers: int
    reached: list[int]
    retained: list[int]


def cohorts(base: Iterable[Acquired], by: CohortBy, now: int) -> list[Cohort]:
    """Return the cohorts of a base: months in their order, sources by name.

    Parameters
    ----------
    base
        Everybody; who was never active belongs to no cohort.
    by
        What the customers of a cohort have in common.
    now
        Epoch milliseconds.

    """
    until = _month(now)
    lives: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for each in base:
        if each.first_activity:
            first, last = _month(each.first_activity), _month(each.last_activity)
            name = _name(first) if by == "month" else source_of(each)
            lives[name].append((max(until - first, 1), last - first))
    return [_cohort(name, lives[name]) for name in sorted(lives)]


def _cohort(name: str, lives: list[tuple[int, int]]) -> Cohort:
    """Return a cohort from each one's months since acquisition, and months until last activity."""
    months = max(age for age, _ in lives)
    reached, retained = [0] * months, [0] * months
    for age, active in lives:
        for k in range(age):
            reached[k] += 1
            retained[k] += active >= k
    return Cohort(name, len(lives), reached, retained)


def _month(at: int) -> int:
    """Return the number of a time's month; consecutive months have consecutive numbers."""
    day = datetime.fromtimestamp(at / 1000, UTC)
    return day.year * _MONTHS + day.month - 1


def _name(month: int) -> str:
    year, number = divmod(month, _MONTHS)
    return f"{year:04}-{number + 1:02}"
