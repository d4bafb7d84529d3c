"""What a campaign is, when a customer crosses its threshold, and which arm the customer is in.

A crossing: the risk was below the threshold when last seen and is at or over it now. What is
above at first sight, or by a new model alone, is none unless the campaign includes the existing.
Each decision disarms; falling below the threshold less the hysteresis re-arms.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.campaign_outputs import Arm
from shared.domain.identity import hash64
from shared.domain.outputs import Score, Stage

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

State = Literal["draft", "live", "paused"]


class RiskOver(Struct, frozen=True):
    """A trigger: the churn risk rises to ``threshold``, or over it.

    ``rearm_below`` is the threshold less the hysteresis; both are multiples of .05.
    """

    threshold: float
    rearm_below: float
    include_existing: bool = False


class Audience(Struct, frozen=True):
    """Whom a campaign may contact.

    ``consent``, a ``channel`` or ``channel/purpose``, must have been given where it is set.
    """

    stages: frozenset[Stage] = ACTIVE_STAGES
    consent: str | None = None


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

    """

    name: str
    version: str
    state: State
    trigger: RiskOver
    audience: Audience
    channel: str
    offer: str
    control: float
    cool_down_ms: int
    valid_for_ms: int
    window_ms: int = 28 * 86_400_000
    cost_per_contact: float = 0.0


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

    """

    number: int = 1
    armed: bool = True
    enrolled_at: int | None = None
    first_at: int | None = None


#: Where every customer stands with a campaign that has not decided about them yet.
UNTOUCHED: Final = Arming()


def crosses(trigger: RiskOver, arming: Arming, before: float | None, score: Score) -> bool:
    """Tell whether a score makes a decision due.

    Parameters
    ----------
    trigger
        The campaign's trigger.
    arming
        Where the customer stands with it.
    before
        Risk when the customer was last seen; ``None`` at first sight.
    score
        The risk now, and why it was computed.

    """
    if not arming.armed or score.risk < trigger.threshold:
        return False
    if trigger.include_existing:
        return True
    return before is not None and before < trigger.threshold and score.cause != "model"


def rearmed(trigger: RiskOver, arming: Arming, risk: float) -> Arming:
    """Return the arming after a risk was seen: armed anew when it fell far enough."""
    if arming.armed or risk >= trigger.rearm_below:
        return arming
    return replace(arming, armed=True, number=arming.number + 1)


def disarmed(arming: Arming, enrolled_at: int | None) -> Arming:
    """Return the arming after a decision; ``enrolled_at`` is ``None`` when nobody was enrolled."""
    if enrolled_at is None:
        return replace(arming, armed=False)
    first = enrolled_at if arming.first_at is None else arming.first_at
    return replace(arming, armed=False, enrolled_at=enrolled_at, first_at=first)


def released(arming: Arming, enrolled_at: int) -> Arming:
    """Return the arming after the enrolment of that time came to nothing: no cool-down for it."""
    times = {"enrolled_at": arming.enrolled_at, "first_at": arming.first_at}
    gone = {name: None for name, at in times.items() if at == enrolled_at}
    return replace(arming, **gone) if gone else arming


def decision_id(campaign: str, customer: str, number: int) -> str:
    """Return the id of the one decision that an arming can lead to."""
    return str(uuid5(_campaign_namespace(campaign), f"{number}/{customer}"))


@lru_cache(maxsize=1_000)
def _campaign_namespace(campaign: str) -> UUID:
    return uuid5(_NAMESPACE, campaign)


def draw_arm(campaign: Campaign, customer: str, salt: str) -> Arm:
    """Return the customer's arm: always the same for a campaign, a customer and a salt."""
    drawn = hash64(f"{salt}\0{campaign.name}\0{customer}") / _HASH_RANGE
    return "control" if drawn < campaign.control else "treatment"
