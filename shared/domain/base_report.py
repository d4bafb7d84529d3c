"""The base as it is now, in groups: how many customers, what they brought, what is to come.

Customer equity is the sum of the lifetime values of a base (Blattberg & Deighton 1996, "Manage
marketing by the customer equity test"). Money is added up in millionths, so that the sums are the
same in whatever order customers come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, get_args

from msgspec import Struct

from shared.domain.features import MICROS
from shared.domain.outputs import Profile, Stage

By = Literal["stage", "rfm", "value", "market", "brand", "plan", "acquisition_source"]
BY: Final[tuple[By, ...]] = get_args(By)

#: Whoever is in no segment (`Score.segment`), is worth nothing, or names no brand.
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
    p_churn: float = 0.0
    segment: str = ""
    value_band: int = 0


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
    names = names_of(members, by)
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


def names_of(members: Sequence[Member], by: By) -> list[str]:
    """Return the name of each one's group."""
    return _NAMED[by](members)


def _by_stage(members: Sequence[Member]) -> list[str]:
    return [each.stage for each in members]


def _by_rfm(members: Sequence[Member]) -> list[str]:
    return [each.segment or NONE for each in members]


def _by_value(members: Sequence[Member]) -> list[str]:
    """Return each one's fifth of the base by lifetime value; 5 is worth most."""
    return [str(each.value_band or NONE) for each in members]


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
