"""How much a customer uses each service: exact in all, and decayed, in any order of events."""

from __future__ import annotations

from math import exp2, log
from typing import Final

from msgspec import Struct

from shared.domain.dealings import ServiceUse
from shared.domain.features import DAY_MS, MICROS

#: Services that are told apart.
SERVICES: Final = 8
#: Where the use of all others is added up.
OTHER: Final = "other"

#: Half-lives of the two averages.
NEAR_MS: Final = 30 * DAY_MS
FAR_MS: Final = 90 * DAY_MS


class Use(Struct, array_like=True, gc=False):
    """Use of one service.

    Attributes
    ----------
    last
        When it was used last, epoch milliseconds.
    quantity
        In all, in micro units, so that the sum is exact in any order.
    near, far
        Quantity, halved every 30 and every 90 days, as of ``last``.

    """

    last: int
    quantity: int
    near: float
    far: float

    def add(self, at: int, quantity: int, near: float, far: float) -> None:
        """Add use as of ``at``, before or after the last one."""
        ahead = at - self.last
        if ahead > 0:
            self.near *= exp2(-ahead / NEAR_MS)
            self.far *= exp2(-ahead / FAR_MS)
            self.last = at
        elif ahead < 0:
            near *= exp2(ahead / NEAR_MS)
            far *= exp2(ahead / FAR_MS)
        self.quantity += quantity
        self.near += near
        self.far += far

    def told(self, now: int, since: int) -> ServiceUse:
        """Return what a score tells at ``now`` of a customer who is known ``since`` then."""
        age, silence = max(now - since, DAY_MS), max(now - self.last, 0)
        return ServiceUse(
            self.last,
            self.quantity / MICROS,
            _per_day(self.near, NEAR_MS, silence, age),
            _per_day(self.far, FAR_MS, silence, age),
        )


def _per_day(total: float, half_life: int, silence: int, age: int) -> float:
    """Return the daily rate that, had it been constant since the beginning, leaves ``total``."""
    weight = (1.0 - exp2(-age / half_life)) * half_life / DAY_MS / log(2.0)
    return total * exp2(-silence / half_life) / weight


def use(services: dict[str, Use], service: str, at: int, quantity: float) -> None:
    """Add a use of a service, in place.

    The eight first names in the alphabet are told apart, and all others added up as `OTHER`: a
    choice by name is the only one by which no order of events changes what belongs to a service.
    """
    found = services.get(service)
    if found is None:
        found = _place(services, service, at)
    found.add(at, round(quantity * MICROS), quantity, quantity)


def _place(services: dict[str, Use], service: str, at: int) -> Use:
    """Return where a service's use is to be added that has no place of its own yet."""
    own = [name for name in services if name != OTHER]
    if len(own) >= SERVICES and service != OTHER:
        last = max(own)
        if service > last:
            return services.setdefault(OTHER, Use(at, 0, 0.0, 0.0))
        _merge_into_other(services, services.pop(last))
    return services.setdefault(service, Use(at, 0, 0.0, 0.0))


def _merge_into_other(services: dict[str, Use], gone: Use) -> None:
    services.setdefault(OTHER, Use(gone.last, 0, 0.0, 0.0)).add(
        gone.last, gone.quantity, gone.near, gone.far
    )
