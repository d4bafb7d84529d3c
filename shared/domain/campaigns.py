"""What a campaign is, when a customer crosses its threshold, and which arm the customer is in.

A crossing: the trigger did not hold when the customer was last seen, and holds now. What holds at
first sight, or by a new model alone, is none unless the campaign includes the existing. Each
decision disarms; for a risk, falling below the threshold less the hysteresis re-arms. While a
decision waits nobody is armed anew: what happens meanwhile belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID, uuid5

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.budgets import (
    CHANNEL,
    MILLIONTHS,
    Allowance,
    Budget,
    Due,
    allowances,
    millionths,
)
from shared.domain.campaign_outputs import Arm
from shared.domain.conditions import Condition
from shared.domain.identity import hash64
from shared.domain.offers import Offers
from shared.domain.outputs import Cause, Stage
from shared.domain.quiet_hours import QuietHours
from shared.domain.seen import Seen
from shared.domain.triggers import Trigger

#: Scores are sent as the risk passes a multiple of this, so thresholds must be multiples of it.
MARKS_PER_UNIT: Final = 20
#: Namespace of the decision ids; never to be changed, or every id changes.
_NAMESPACE: Final = UUID("6c1a1d1e-5f2b-5a9e-9b1e-74656e757265")
_HASH_RANGE: Final = 2.0**64

STAGES: Final[frozenset[Stage]] = frozenset(
    ("prospect", "onboarding", "growth", "maturity", "decline", "dormant", "lapsed", "won_back")
)
#: Whoever has bought or used something and has not left.
ACTIVE_STAGES: Final = STAGES - {"prospect", "lapsed"}

State = Literal["draft", "shadow", "live", "paused"]


class Audience(Struct, frozen=True):
    """Whom a campaign may contact.

    ``consent``, a ``channel`` or ``channel/purpose``, must have been given where it is set;
    ``where`` must hold.
    """

    stages: frozenset[Stage] = ACTIVE_STAGES
    consent: str | None = None
    where: Condition | None = None


class Expected(Struct, frozen=True):
    """What is expected of a contact: how much likelier the customer stays, and what it costs then.

    Attributes
    ----------
    uplift
        Probability of staying with the contact, less that without it.
    acceptance
        Probability that the offer is accepted, those who would have stayed anyway included.
    cost_per_acceptance
        In the reporting currency.
    minimum_gain
        Least expected gain of a contact.

    """

    uplift: float
    acceptance: float = 0.0
    cost_per_acceptance: float = 0.0
    minimum_gain: float = 0.0


class GuardRails(Struct, frozen=True):
    """What holds for all campaigns of a file together.

    Attributes
    ----------
    time_zone
        Of customers whose own is not known.
    quiet
        Hours in which nobody is contacted.
    per_day, per_week, in_all
        Most enrolments of a customer in any 24 hours, in any 7 days, and ever.
    budget
        Of all campaigns together; its days and months are those of ``time_zone``.
    rates
        Most contacts in each minute of the wall clock, by channel.
    control
        Share of customers whom no campaign contacts, so that the effect of all together is known.
    window_ms
        How long after a customer's first enrolment that effect is measured.
    approval
        Whether every campaign needs one.
    author
        Who wrote the file, by the name of their API key.

    """

    time_zone: str = "UTC"
    quiet: QuietHours | None = None
    per_day: int | None = None
    per_week: int | None = None
    in_all: int | None = None
    budget: Budget | None = None
    rates: Mapping[str, int] = field(default_factory=dict)
    approval: bool = False
    author: str | None = None
    control: float = 0.0
    window_ms: int = 28 * 86_400_000

    def costs(self, campaign: Campaign, at: int) -> list[Due]:
        """Return what a contact takes from budgets at a partition's time (epoch ms)."""
        amount = millionths(campaign.cost_per_contact)
        if amount == 0:
            return []
        return [each.due(amount, at, self.time_zone) for each in self.limits(campaign)]

    def limits(self, *campaigns: Campaign) -> Iterator[Allowance]:
        """Yield the budgets that hold for campaigns."""
        yield from allowances("all", self.budget)
        for each in campaigns:
            yield from allowances(f"campaign/{each.name}", each.budget)

    def room(self, campaign: Campaign, now: int) -> list[Due]:
        """Return what a contact takes from its channel's rate at a wall clock (epoch ms)."""
        most = self.rates.get(campaign.channel)
        if most is None:
            return []
        rate = Allowance(f"{CHANNEL}{campaign.channel}", "minute", most * MILLIONTHS)
        return [rate.due(MILLIONTHS, now, "UTC")]

    def needs_approval(self, campaign: Campaign) -> bool:
        """Tell whether a version of a campaign fires only once a second person approved it."""
        return self.approval or campaign.approval


class Campaign(Struct, frozen=True):
    """A validated campaign.

    Attributes
    ----------
    version
        Hash of the campaign's content.
    control
        Share of the audience that is held out, 0 to 1.
    cool_down_ms
        How long after an enrolment the campaign leaves a customer alone.
    valid_for_ms
        How old a crossing may be when its trigger leaves.
    window_ms
        How long after an enrolment its effect is measured, in either arm.
    cost_per_contact
        In the reporting currency.
    priority
        Of several campaigns that want a customer at once, the one with the highest has it.
    rollout
        Share of customers that the campaign is for at all, by salted hash.
    cap
        Most enrolments of a customer.
    expected
        Where contacts must promise a gain.
    transactional
        Has no control group, and is nobody's rival; all other guard rails hold.
    budget
        Its own, beside that of all campaigns together.
    approval
        Whether each version needs one of another person than its author.
    cost_per_acceptance
        In the reporting currency, where ``offers`` say nothing else.
    offers
        Several, of which each customer gets one; ``offer`` is empty then.
    starts, ends
        Crossings in ``[starts, ends)`` count, the partition's time; ``None`` for no limit.
    own_topic
        Whether its triggers go to a topic of its own.

    """

    name: str
    version: str
    state: State
    trigger: Trigger
    audience: Audience
    channel: str
    offer: str
    control: float
    cool_down_ms: int
    valid_for_ms: int
    window_ms: int = 28 * 86_400_000
    cost_per_contact: float = 0.0
    priority: int = 0
    rollout: float = 1.0
    cap: int | None = None
    expected: Expected | None = None
    transactional: bool = False
    budget: Budget | None = None
    approval: bool = False
    cost_per_acceptance: float = 0.0
    offers: Offers | None = None
    starts: int | None = None
    ends: int | None = None
    own_topic: bool = False

    def acceptance_cost(self, offer: str) -> float:
        """Return what it costs when an offer of it is accepted."""
        own = 0.0 if self.offers is None else self.offers.cost_of(offer)
        promised = 0.0 if self.expected is None else self.expected.cost_per_acceptance
        return own or self.cost_per_acceptance or promised


class Arming(Struct, frozen=True):
    """Where a customer stands with a campaign.

    Attributes
    ----------
    number
        Counts the times the customer was armed, from 1; part of the decision's id.
    armed
        Whether the next crossing makes a decision.
    enrolled_at, first_at
        Partition's time of the last, and of the first, decision that fired or was held out.
    enrolments
        How many of those there were.

    """

    number: int = 1
    armed: bool = True
    enrolled_at: int | None = None
    first_at: int | None = None
    enrolments: int = 0


#: Where every customer stands with a campaign that has not decided about them yet.
UNTOUCHED: Final = Arming()


#: Nothing holds for all campaigns.
_RAILS: Final = GuardRails()


def crosses(
    trigger: Trigger, arming: Arming, before: Seen | None, seen: Seen, cause: Cause
) -> bool:
    """Tell whether a score makes a decision due.

    Parameters
    ----------
    trigger
        The campaign's trigger.
    arming
        Where the customer stands with it.
    before, seen
        What the customer was like when last seen (``None`` at first sight), and is like now.
    cause
        Why the score was computed.

    """
    if not arming.armed or not trigger.holds(seen):
        return False
    if trigger.include_existing:
        return True
    if before is None or cause == "model":
        return False
    return trigger.reached(before, seen)


def rearmed(trigger: Trigger, arming: Arming, before: Seen | None, seen: Seen) -> Arming:
    """Return the arming as a score finds it: armed anew when the customer is far enough.

    Or when what the trigger waits for happened once more.
    """
    occasion = trigger.occasion(seen)
    if occasion is not None and occasion > arming.number:
        return replace(arming, armed=True, number=occasion)
    if arming.armed:
        return arming
    if not (trigger.rearms(seen) or (before is not None and trigger.recurs(before, seen))):
        return arming
    return replace(arming, armed=True, number=arming.number + 1)


def disarmed(arming: Arming, enrolled_at: int | None) -> Arming:
    """Return the arming after a decision; ``enrolled_at`` is ``None`` when nobody was enrolled."""
    after = replace(arming, armed=False)
    return after if enrolled_at is None else enrolled(after, enrolled_at)


def enrolled(arming: Arming, at: int) -> Arming:
    """Return the arming after an enrolment."""
    first = at if arming.first_at is None else arming.first_at
    return replace(arming, enrolled_at=at, first_at=first, enrolments=arming.enrolments + 1)


def released(arming: Arming, enrolled_at: int) -> Arming:
    """Return the arming after the enrolment of that time came to nothing: as if it had not been."""
    times = {"enrolled_at": arming.enrolled_at, "first_at": arming.first_at}
    gone = {name: None for name, at in times.items() if at == enrolled_at}
    return replace(arming, **gone, enrolments=max(arming.enrolments - 1, 0))


def decision_id(campaign: str, customer: str, number: int) -> str:
    """Return the id of the one decision that an arming can lead to."""
    return str(uuid5(_campaign_namespace(campaign), f"{number}/{customer}"))


@lru_cache(maxsize=1_000)
def _campaign_namespace(campaign: str) -> UUID:
    return uuid5(_NAMESPACE, campaign)


def left_alone(rails: GuardRails, customer: str, salt: str) -> bool:
    """Tell whether a customer is in the control group of all campaigns together."""
    return hash64(f"{salt}\0all campaigns\0{customer}") / _HASH_RANGE < rails.control


def draw_arm(campaign: Campaign, customer: str, salt: str, rails: GuardRails = _RAILS) -> Arm:
    """Return the customer's arm: always the same for a campaign, a customer and a salt."""
    if campaign.transactional:
        return "treatment"
    if rails.control > 0 and left_alone(rails, customer, salt):
        return "control"
    drawn = hash64(f"{salt}\0{campaign.name}\0{customer}") / _HASH_RANGE
    return "control" if drawn < campaign.control else "treatment"


def rolled_out(campaign: Campaign, customer: str, salt: str) -> bool:
    """Tell whether a campaign is for a customer yet; a larger share keeps those of a smaller one.

    Drawn apart from the arm, or the first share would be treatment, or control, alone.
    """
    if campaign.rollout >= 1:
        return True
    return hash64(f"{salt}\0rollout\0{campaign.name}\0{customer}") / _HASH_RANGE < campaign.rollout
