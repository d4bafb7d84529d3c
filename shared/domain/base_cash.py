"""Cash to come: what the base is expected to spend in each of the next months, by group.

A customer's spend over the horizon H goes on at its rate while the customer stays, with a
retention of 1 - churn a horizon, as in `shared.domain.value`; month k (of a twelfth of a year,
counted from 0) is then::

    spend / H * month * (1 - churn) ** (k * month / H)

It is cash, so neither margin nor discount is in it. Nobody is expected to join, and who is in the
base is expected to spend as now: over more than some months it is a lower bound of a growing one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from shared.domain.base_report import By, Member, names_of
from shared.domain.features import MICROS

#: A twelfth of a mean Gregorian year, in days.
MONTH_DAYS: Final = 365.2425 / 12.0


class Cash(Struct, frozen=True):
    """What a group is expected to spend in each of the months to come."""

    name: str
    customers: int
    months: list[float]


def cash(base: Iterable[Member], by: By, horizon_days: float, months: int) -> list[Cash]:
    """Return what each group is expected to spend, who spends most first.

    Parameters
    ----------
    base
        Everybody.
    by
        What the customers of a group have in common.
    horizon_days
        H, over which spend and churn are expected.
    months
        How many.

    """
    members = list(base)
    counts: defaultdict[str, int] = defaultdict(int)
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0] * months)
    for name, member in zip(names_of(members, by), members, strict=True):
        counts[name] += 1
        for k, amount in enumerate(expected(member, horizon_days, months)):
            sums[name][k] += round(amount * MICROS)
    found = [Cash(name, counts[name], [one / MICROS for one in sums[name]]) for name in counts]
    return sorted(found, key=lambda each: (-sum(each.months), each.name))


def expected(member: Member, horizon_days: float, months: int) -> list[float]:
    """Return what a customer is expected to spend in each of the months to come.

    >>> from shared.domain.outputs import Profile
    >>> anna = Member("growth", 0, 1, 0, 0, 0, 0, False, Profile(), 10.0, p_churn=0.5)
    >>> [round(each, 6) for each in expected(anna, MONTH_DAYS, 3)]
    [10.0, 5.0, 2.5]
    """
    first = member.expected_spend * MONTH_DAYS / horizon_days
    kept = (1.0 - member.p_churn) ** (MONTH_DAYS / horizon_days)
    return [first * kept**k for k in range(months)]
