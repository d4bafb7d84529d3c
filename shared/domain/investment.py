"""How much to invest in a customer: net present value of an offer, and of a subsidised device.

An offer costs ``contact`` for everybody and ``k`` for who accepts it, a share ``a``; it keeps a
share ``s`` of those who would leave, with p the chance of churn within the horizon::

    npv = s * V - contact - a * k,      V = value kept for a horizon - lifetime value

``V`` is what is at stake: the value if the customer surely stays for one more horizon, less the
value as it is (`kept_value`). An offer of ``(s * V - contact) / a`` breaks even. What a larger
offer keeps grows less and less (Blattberg & Deighton 1996, "Manage marketing by the customer equity
test", Harvard Business Review 74(4), whose curve this is; its two numbers are a marketer's
judgement, or fitted to campaigns)::

    s(k) = ceiling * (1 - exp(-k / scale))

so npv is largest where its derivative is 0, at ``k = scale * ln(ceiling * V / (a * scale))``, and
nothing is offered where that is not positive, or npv is not.

A device that is subsidised binds the customer for a term: the value kept for the term, and what a
contract adds to margin, less the value as it is and the subsidy, which is paid today. Both values
are of the same time, the longer of the term and the usual one.

What is assumed: who is bound stays and spends as those do who stay; nobody is put off by an offer,
and none of it is claimed back. All amounts are present values in the reporting currency.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from msgspec import Struct

from shared.domain.features import MICROS
from shared.domain.outputs import Score
from shared.domain.policy import Policy
from shared.domain.value import YEAR_DAYS, lifetime_value, margin_ratio

#: Nobody leaves; the sum over horizons needs a chance over 0.
_NEVER: Final = 1e-12


class Response(Struct, frozen=True):
    """How customers respond to offers.

    Attributes
    ----------
    ceiling
        Share of those who would leave that the largest offer keeps.
    scale
        The offer that keeps 63% of these, in the reporting currency.
    acceptance
        Share that accepts, those who would have stayed anyway included; over 0.
    contact
        What the contact costs.

    """

    ceiling: float
    scale: float
    acceptance: float = 1.0
    contact: float = 0.0


class OfferWorth(Struct, frozen=True):
    """What an offer is worth: its cost when it is accepted, the share kept, npv, break-even."""

    offer: float
    kept: float
    npv: float
    break_even: float


class SubsidyWorth(Struct, frozen=True):
    """What a subsidy is worth: the value bound and unbound over the same days, and npv."""

    subsidy: float
    days: int
    bound: float
    unbound: float
    npv: float


class Investment(Struct, frozen=True):
    """What may be invested in a customer; ``None`` for what was not asked.

    Attributes
    ----------
    customer, clv
        Who, and the lifetime value.
    at_stake
        What it is worth that the customer surely stays for one more horizon.
    best, offer
        The best offer, and one of a given size.
    subsidy
        A subsidised device.

    """

    customer: str
    clv: float
    at_stake: float
    best: OfferWorth | None = None
    offer: OfferWorth | None = None
    subsidy: SubsidyWorth | None = None


class Bargain(Struct, frozen=True):
    """A subsidised device: paid today, for a term in days, and what it adds to margin a year."""

    subsidy: float
    term_days: int
    added_margin: float = 0.0


def invest(
    score: Score,
    policy: Policy,
    response: Response | None = None,
    offer: float | None = None,
    bargain: Bargain | None = None,
) -> Investment:
    """Return what may be invested in a customer.

    Parameters
    ----------
    score, policy
        The customer now, and by what scores are made.
    response
        How customers respond to offers; without it no offer is weighed.
    offer
        The size of one that is weighed beside the best.
    bargain
        A subsidised device.

    """
    stake = at_stake(score, policy)
    return Investment(
        customer=score.customer,
        clv=score.clv,
        at_stake=stake,
        best=None if response is None else best_offer(stake, response),
        offer=None if response is None or offer is None else offer_worth(stake, response, offer),
        subsidy=None if bargain is None else subsidy_worth(score, policy, bargain),
    )


def at_stake(score: Score, policy: Policy) -> float:
    """Return what it is worth that a customer surely stays for one more horizon."""
    days = float(policy.value_days)
    return kept_value(score, policy, policy.horizon_days, days) - kept_value(score, policy, 0, days)


def kept_value(score: Score, policy: Policy, term: float, days: float) -> float:
    """Return the value of ``days`` if the customer surely stays for the first ``term`` of them."""
    if score.closed:
        return 0.0
    bound = min(term, days)
    sure = score.expected_spend / (1.0 - score.risk) if score.risk < 1.0 else 0.0
    discount: float = (1.0 + policy.discount_rate) ** (-bound / YEAR_DAYS)
    first = _value(score, policy, spend=sure, churn=_NEVER, days=bound)
    churn = min(max(score.p_churn, _NEVER), 1.0)
    then = _value(score, policy, spend=score.expected_spend, churn=churn, days=days - bound)
    return first + discount * then


def offer_worth(stake: float, response: Response, offer: float) -> OfferWorth:
    """Return what an offer is worth for a customer of whom so much is at stake."""
    kept = response.ceiling * -math.expm1(-offer / response.scale)
    return OfferWorth(
        offer=offer,
        kept=kept,
        npv=kept * stake - response.contact - response.acceptance * offer,
        break_even=max(kept * stake - response.contact, 0.0) / response.acceptance,
    )


def best_offer(stake: float, response: Response) -> OfferWorth | None:
    """Return the offer of the largest net present value, ``None`` where none is worth its cost.

    Examples
    --------
    >>> best = best_offer(1_000.0, Response(ceiling=0.2, scale=20.0))
    >>> round(best.offer, 2), round(best.npv, 2), round(best.break_even, 2)
    (46.05, 133.95, 180.0)

    """
    marginal = response.ceiling * stake / (response.acceptance * response.scale)
    if marginal <= 1.0:
        return None
    best = offer_worth(stake, response, response.scale * math.log(marginal))
    return best if best.npv > 0.0 else None


def subsidy_worth(score: Score, policy: Policy, bargain: Bargain) -> SubsidyWorth:
    """Return what it is worth to subsidise a device that binds the customer for a term."""
    subsidy, term_days = bargain.subsidy, bargain.term_days
    days = max(term_days, policy.value_days)
    unbound = kept_value(score, policy, 0, days)
    bound = kept_value(score, policy, term_days, days)
    added = bargain.added_margin * _annuity(policy.discount_rate, term_days / YEAR_DAYS)
    return SubsidyWorth(subsidy, days, bound + added, unbound, bound + added - unbound - subsidy)


def _annuity(rate: float, years: float) -> float:
    """Return the present value of 1 a year, paid all the time."""
    force = math.log1p(rate)
    return years if force == 0.0 else -math.expm1(-force * years) / force


def _value(score: Score, policy: Policy, *, spend: float, churn: float, days: float) -> float:
    if days <= 0.0:
        return 0.0
    money = (round(score.margin * MICROS), round(score.revenue * MICROS))
    margin, revenue = (np.array([each], np.int64) for each in money)
    found = lifetime_value(
        spend=np.array([spend]),
        churn=np.array([churn]),
        margin=margin_ratio(margin, revenue, policy.default_margin),
        horizon=policy.horizon_days,
        life=days,
        rate=policy.discount_rate,
    )
    return float(found[0])
