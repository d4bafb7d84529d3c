"""The base as it is now, in groups: how many customers, what they brought, what is to come.

Customer equity is the sum of the lifetime values of a base (Blattberg & Deighton 1996, "Manage
marketing by the customer equity test"). Money is added up in millionths, so that the sums are the
same in whatever order customers come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, get_args

import numpy as np
from msgspec import Struct

from shared.domain import rfm
from shared.domain.features import MICROS
from shared.domain.outputs import Profile, Stage

By = Literal["stage", "rfm", "value", "market", "brand", "plan", "acquisition_source"]
BY: Final[tuple[By, ...]] = get_args(By)

#: Whoever was never active, or has closed the account, has no segment; who names none, no brand.
NONE: Final = "none"
_MONEY: Final = ("revenue", "margin", "cost", "expected_spend", "clv")


class Member(Struct, frozen=True, gc=False):
    """What is asked of a customer's last score."""

    stage: Stage
    last_activity: int
    visits: int
    spend: float
    revenue: float
    margin: float
    cost: float
    closed: bool
    profile: Profile
    expected_spend: float = 0.0
    clv: float = 0.0


class Group(Struct, frozen=True):
    """Some of the base.

    Attributes
    ----------
    name
        What they have in common.
    revenue, margin, cost
        To date: amounts, refunds subtracted; revenue times margin; money spent on them.
    expected_spend, equity
        Over the next horizon; the sum of their lifetime values.

    """

    name: str
    customers: int
    revenue: float
    margin: float
    cost: float
    expected_spend: float
    equity: float


def group(base: Iterable[Member], by: By) -> list[Group]:
    """Return the groups of a base, the largest first."""
    members = list(base)
    names = _NAMED[by](members)
    counts: defaultdict[str, int] = defaultdict(int)
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(_MONEY))
    for name, member in zip(names, members, strict=True):
        counts[name] += 1
        own = sums[name]
        for place, amount in enumerate(_MONEY):
            own[place] += round(getattr(member, amount) * MICROS)
    found = [
        Group(name, count, *(each / MICROS for each in sums[name]))
        for name, count in counts.items()
    ]
    return sorted(found, key=lambda each: (-each.customers, each.name))


def _by_stage(members: Sequence[Member]) -> list[str]:
    return [each.stage for each in members]


def _by_rfm(members: Sequence[Member]) -> list[str]:
    """Return the named segment of each; the quintiles are those of the active base."""
    names = [NONE] * len(members)
    active = [n for n, each in enumerate(members) if each.visits and not each.closed]
    facts = np.array(
        [(one.last_activity, one.visits, one.spend) for one in (members[n] for n in active)],
        np.float64,
    ).reshape(-1, 3)
    for n, code in zip(active, rfm.named(rfm.score(*facts.T)).tolist(), strict=True):
        names[n] = rfm.SEGMENTS[code]
    return names


def _by_value(members: Sequence[Member]) -> list[str]:
    """Return each one's fifth of the base by lifetime value; 5 is worth most."""
    names = [NONE] * len(members)
    valued = [n for n, each in enumerate(members) if each.clv > 0.0]
    bands = rfm.quintiles(np.array([members[n].clv for n in valued], np.float64))
    for n, band in zip(valued, bands.tolist(), strict=True):
        names[n] = str(band)
    return names


def _by_profile(fact: str) -> Callable[[Sequence[Member]], list[str]]:
    return lambda members: [getattr(each.profile, fact) or NONE for each in members]


_NAMED: Final[dict[By, Callable[[Sequence[Member]], list[str]]]] = {
    "stage": _by_stage,
    "rfm": _by_rfm,
    "value": _by_value,
    "market": _by_profile("market"),
    "brand": _by_profile("brand"),
    "plan": _by_profile("plan"),
    "acquisition_source": _by_profile("acquisition_source"),
}
