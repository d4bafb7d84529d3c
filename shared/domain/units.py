"""Units of a campaign's experiment: customers at their first enrolment, and what came of them.

Intention to treat: a unit is counted in the arm it was drawn into, whatever reached the customer
afterwards. Both arms are measured alike, by the scores that arrive within the unit's window, and at
the window's end. Later enrolments of the same customer make no further units.
"""

from __future__ import annotations

from msgspec import Struct

from shared.domain.campaign_outputs import Arm, Decision
from shared.domain.campaigns import Campaign
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
    last_activity, revenue, margin
        As they were at the enrolment.

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


class Achieved(Struct, frozen=True):
    """What came of a unit within its window.

    ``retained`` says that the customer bought or used something, and has not closed the account;
    ``revenue`` and ``margin`` are what was added to them. ``opted_out`` says that consent for the
    campaign's channel, or for everything, was withdrawn: who had done so before was not enrolled.
    """

    retained: bool
    revenue: float
    margin: float
    opted_out: bool = False


def unit_of(decision: Decision, campaign: Campaign, score: Score) -> Unit:
    """Return the unit that a customer's first enrolment makes."""
    assert decision.arm is not None  # noqa: S101  # who is enrolled was drawn into an arm
    return Unit(
        customer=decision.customer,
        campaign=decision.campaign,
        decision=decision.id,
        arm=decision.arm,
        control_share=campaign.control,
        at=decision.at,
        ends_at=decision.at + campaign.window_ms,
        cost=campaign.cost_per_contact if decision.arm == "treatment" else 0.0,
        last_activity=score.last_activity,
        revenue=score.revenue,
        margin=score.margin,
        channel=decision.channel,
    )


def achieved(unit: Unit, seen: Seen) -> Achieved:
    """Measure a unit by what the customer was like when last seen within the window.

    An activity that is heard of late, but was before the enrolment, is none of the window's.
    """
    active = seen.last_activity > max(unit.at, unit.last_activity)
    return Achieved(
        retained=active and not seen.closed,
        revenue=seen.revenue - unit.revenue,
        margin=seen.margin - unit.margin,
        opted_out=not seen.withdrawn.isdisjoint((unit.channel, "*")),
    )
