"""Units of a campaign's experiment: customers at their first enrolment, and what came of them.

Intention to treat: a unit is counted in the arm it was drawn into, whatever reached the customer
afterwards. Both arms are measured alike, by the scores that arrive within the unit's window, and at
the window's end. Later enrolments of the same customer make no further units.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.campaign_outputs import Arm, Decision
from shared.domain.campaigns import Campaign, GuardRails
from shared.domain.controls import ALL
from shared.domain.offers import Tally
from shared.domain.outputs import Score
from shared.domain.seen import Seen


class Unit(Struct, frozen=True):
    """A customer's first enrolment in a campaign.

    Attributes
    ----------
    decision
        Id of the decision that enrolled.
    control_share
        Share of customers that was held out when the arm was drawn.
    at, ends_at
        The window is ``(at, ends_at]``, the partition's time.
    cost
        Of the contact; 0 in the control arm.
    last_activity, revenue, margin, clv, accepted, complaints
        As they were at the enrolment.
    channel
        Whose consent may be withdrawn; empty where only a withdrawal of all counts.
    offer, context
        The one of several that was chosen, and what told the customer apart.
    acceptance_cost
        What it costs when the offer is accepted; 0 in the control arm.

    """

    customer: str
    campaign: str
    decision: str
    arm: Arm
    control_share: float
    at: int
    ends_at: int
    cost: float
    last_activity: int
    revenue: float
    margin: float
    channel: str = ""
    clv: float = 0.0
    accepted: int = 0
    complaints: int = 0
    offer: str = ""
    context: str = ""
    acceptance_cost: float = 0.0


class Achieved(Struct, frozen=True):
    """What came of a unit within its window.

    ``retained`` says that the customer bought or used something, and has not closed the account;
    ``revenue``, ``margin`` and ``clv`` are what was added to them. ``opted_out`` says that consent
    for the campaign's channel, or for everything, was withdrawn: who had done so before was not
    enrolled. ``accepted`` and ``complained`` say that the customer did so; ``rating`` is what was
    given last, ``None`` where nothing was.
    """

    retained: bool
    revenue: float
    margin: float
    opted_out: bool = False
    clv: float = 0.0
    accepted: bool = False
    complained: bool = False
    rating: float | None = None


def unit_of(decision: Decision, campaign: Campaign, score: Score) -> Unit:
    """Return the unit that a customer's first enrolment in a campaign makes."""
    treated, offers = decision.arm == "treatment", campaign.offers
    return _unit(
        decision,
        score,
        campaign=decision.campaign,
        control_share=campaign.control,
        ends_at=decision.at + campaign.window_ms,
        cost=campaign.cost_per_contact if treated else 0.0,
        channel=decision.channel,
        offer=decision.offer if offers else "",
        context=offers.context(score) if offers else "",
        acceptance_cost=campaign.acceptance_cost(decision.offer) if treated else 0.0,
    )


def unit_of_all(decision: Decision, rails: GuardRails, score: Score) -> Unit:
    """Return the unit that a customer's first enrolment in any campaign makes of all together.

    Its arm is that of the control group of all, whatever the campaign itself drew. What contacts
    cost is known to the campaigns.
    """
    return _unit(
        replace(decision, arm="control" if decision.left_alone else "treatment"),
        score,
        campaign=ALL,
        control_share=rails.control,
        ends_at=decision.at + rails.window_ms,
        cost=0.0,
    )


def _unit(decision: Decision, score: Score, **other: Any) -> Unit:  # noqa: ANN401  # what the two differ in
    assert decision.arm is not None  # noqa: S101  # who is enrolled was drawn into an arm
    return Unit(
        customer=decision.customer,
        decision=decision.id,
        arm=decision.arm,
        at=decision.at,
        last_activity=score.last_activity,
        revenue=score.revenue,
        margin=score.margin,
        clv=score.clv,
        accepted=score.dealings.accepted,
        complaints=score.dealings.complaints,
        **other,
    )


def achieved(unit: Unit, seen: Seen) -> Achieved:
    """Measure a unit by what the customer was like when last seen within the window.

    An activity that is heard of late, but was before the enrolment, is none of the window's.
    """
    active, dealings = seen.last_activity > max(unit.at, unit.last_activity), seen.dealings
    touch = dealings.last_contact
    rated = touch is not None and touch.outcome == "rated" and touch.at > unit.at
    return Achieved(
        retained=active and not seen.closed,
        revenue=seen.revenue - unit.revenue,
        margin=seen.margin - unit.margin,
        opted_out=not seen.withdrawn.isdisjoint((unit.channel, "*")),
        clv=seen.clv - unit.clv,
        accepted=dealings.accepted > unit.accepted,
        complained=dealings.complaints > unit.complaints,
        rating=dealings.rating if rated else None,
    )


def tally_of(found: Achieved) -> Tally:
    """Return what a unit adds to what is known of its offer."""
    return Tally(1, int(found.accepted), int(found.retained))
