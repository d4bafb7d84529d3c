"""Tariff fit: what each plan would cost a customer who goes on using services as now.

Use is recorded by service as a daily rate whose weight halves every 30 days (`ServiceUse`), so a
month's use is the rate times a twelfth of a year. A plan has a fee, an allowance of each service,
and a price for each unit beyond (a three-part tariff: Lambrecht, Seim & Skiera 2007, "Does
uncertainty matter? Consumer behavior under three-part tariffs", doi 10.1287/mksc.1070.0283)::

    cost = fee + sum over services of price * max(use - allowance, 0)

What a plan does not name is not to be had with it. What is assumed: use does not change with the
plan. It does, where use beyond an allowance ceases to cost anything, so savings of a larger plan
are a lower bound of what is then used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from shared.domain.outputs import Score
from shared.domain.signs import MONTH_DAYS, NEAR_LIMIT, UNUSED

Money = Annotated[float, Meta(ge=0, le=1e9)]
Quantity = Annotated[float, Meta(ge=0, le=1e12)]


class Service(Struct, frozen=True, forbid_unknown_fields=True):
    """What a plan says of a service, a month: units included, and the price of each one beyond.

    Without an allowance all use is included.
    """

    allowance: Quantity | None = None
    price: Money = 0.0


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan: its fee a month, and its services by name."""

    fee: Money
    services: dict[str, Service] = {}


class PlanCost(Struct, frozen=True):
    """What a plan would cost a month; ``saving`` is against the customer's own, if that is known.

    ``lacks`` names services that the customer uses and the plan does not have.
    """

    plan: str
    cost: float
    saving: float | None
    lacks: list[str]


class TariffFit(Struct, frozen=True):
    """How the plan of a customer fits.

    Attributes
    ----------
    plan
        The customer's own, ``None`` where none is known.
    use
        Of each service, a month.
    limits
        Share of the plan's allowances that is used, the largest; ``None`` where there are none.
    signal
        ``near_limit`` (up-sell), ``unused`` (down-sell before the customer leaves), or neither.
    plans
        What each plan would cost: those that have all services first, the cheapest first.

    """

    plan: str | None
    use: dict[str, float]
    limits: float | None
    signal: str | None
    plans: list[PlanCost]


def tariff_fit(score: Score, plans: Mapping[str, Plan]) -> TariffFit:
    """Return how a customer's plan fits, and what each other one would cost."""
    use = {
        name: each.per_day_30 * MONTH_DAYS for name, each in sorted(score.dealings.services.items())
    }
    own = score.profile.plan
    known = plans.get(own) if own is not None else None
    paid = None if known is None else cost(known, use)
    found = [_cost_of(name, plan, use, paid) for name, plan in plans.items()]
    share = None if known is None else _used(known, use)
    return TariffFit(
        plan=own,
        use=use,
        limits=share,
        signal=_signal(share),
        plans=sorted(found, key=lambda each: (bool(each.lacks), each.cost, each.plan)),
    )


def cost(plan: Plan, use: Mapping[str, float]) -> float:
    """Return what a month of such use costs; what the plan does not have is left out.

    Examples
    --------
    >>> plan = Plan(10.0, {"data": Service(allowance=5.0, price=2.0), "voice": Service()})
    >>> cost(plan, {"data": 8.0, "voice": 300.0})
    16.0

    """
    beyond = (
        each.price * max(use.get(name, 0.0) - each.allowance, 0.0)
        for name, each in plan.services.items()
        if each.allowance is not None
    )
    return plan.fee + sum(beyond)


def _cost_of(name: str, plan: Plan, use: Mapping[str, float], paid: float | None) -> PlanCost:
    own = cost(plan, use)
    lacks = [each for each, much in use.items() if much > 0.0 and each not in plan.services]
    return PlanCost(name, own, None if paid is None else paid - own, lacks)


def _used(plan: Plan, use: Mapping[str, float]) -> float | None:
    shares = [
        use.get(name, 0.0) / each.allowance
        for name, each in plan.services.items()
        if each.allowance
    ]
    return max(shares, default=None)


def _signal(share: float | None) -> str | None:
    if share is None or UNUSED < share < NEAR_LIMIT:
        return None
    return "near_limit" if share >= NEAR_LIMIT else "unused"
