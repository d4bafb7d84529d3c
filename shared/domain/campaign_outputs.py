"""What the campaigner tells the world: decisions, and the triggers that follow from them.

These structs are the wire contracts of ``campaign-decisions`` and ``retention-triggers`` (the
data of their CloudEvents, JSON). Times are epoch milliseconds in UTC.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from shared.domain.budgets import Charge
from shared.domain.offers import Chosen
from shared.domain.outputs import Identity, Reason, Stage

#: What became of a crossing; each decision ends in exactly one of these, but for ``deferred``,
#: which is decided again when quiet hours end, or the channel has room.
Outcome = Literal["fired", "held_out", "suppressed", "expired", "deferred"]
#: Who is contacted, and who is not so that the effect can be measured.
Arm = Literal["treatment", "control"]


class Checked(Struct, frozen=True):
    """One check of a decision. ``reason`` says in an operator's words why it failed.

    Attributes
    ----------
    check, passed, reason
        Its name; whether nothing spoke against it; what did, in words.

    """

    check: str
    passed: bool
    reason: str | None = None


class Decision(Struct, frozen=True):
    """One crossing and what became of it.

    Attributes
    ----------
    id
        UUIDv5 of campaign, customer and arming number: the same after every replay.
    customer, campaign
        Whom it is about; by whose rules.
    version
        Content hash of the campaign as it stood.
    outcome, checks
        What became of it; every check that was made, in order.
    stage, reasons
        The customer's stage then; what moved the risk most.
    channel, offer
        As the campaign has them.
    trigger
        What was waited for, in words.
    number
        How many times the customer had been armed for this campaign.
    arm
        Drawn after every check passed; ``None`` when one did not.
    at
        The partition's time of the crossing, or of the end of the quiet hours that it waited for.
    decided_at
        Wall clock of the decision.
    expires_at
        After this the trigger is not sent.
    origin
        What in ``customer-events`` caused the score that crossed.
    risk, before
        Risk at the crossing, and when the customer was last seen (``None`` at first sight).
    model
        Version of the model that computed ``risk``.
    threshold
        Of a trigger by risk; ``None`` of others. ``trigger`` says in words what was waited for.
    opens_at
        When a deferred decision is made again.
    crossed_at
        The crossing, where it was decided on again later.
    waits_for
        What a deferred decision waits for, in words.
    charges
        What the contact used up of budgets and rates.
    recalled
        It was made, and told, before the database was restored from an older backup.
    chosen
        How ``offer`` was chosen, where the campaign has several; it is empty while none was.
    own_topic
        Whether its trigger goes to a topic of the campaign's own.
    left_alone
        The customer is in the control group of all campaigns together, so is no unit of this one's
        experiment.
    traceparent
        The trace that the crossing is part of (W3C Trace Context), where it is followed.

    """

    id: str
    customer: str
    campaign: str
    version: str
    number: int
    outcome: Outcome
    arm: Arm | None
    checks: list[Checked]
    at: int
    decided_at: int
    expires_at: int
    origin: Identity
    risk: float
    before: float | None
    threshold: float | None
    stage: Stage
    model: int
    reasons: list[Reason]
    channel: str
    offer: str
    trigger: str = ""
    opens_at: int | None = None
    crossed_at: int | None = None
    waits_for: str | None = None
    charges: list[Charge] = field(default_factory=list)
    recalled: bool = False
    chosen: Chosen | None = None
    left_alone: bool = False
    own_topic: bool = False
    traceparent: str | None = None


#: How far the time of a crossing may be ahead of the clock by which it is decided on.
AHEAD_MS: Final = 600_000


class Told(NamedTuple):
    """What became of a decision according to Kafka, when it was made (epoch ms), and its offer."""

    outcome: Outcome
    decided_at: int
    offer: str | None = None

    def concerns(self, at: int) -> bool:
        """Tell whether it is about a decision of a time, and not of one before, as numbered as it.

        Numbers begin anew with an empty database.
        """
        return self.decided_at >= at - AHEAD_MS


class Trigger(Struct, frozen=True):
    """What a campaign tool gets: whom to contact, with what, why, and until when.

    Attributes
    ----------
    decision
        The CloudEvent's id as well: a tool that sees it twice contacts once. Contact events that
        answer this trigger carry it as `trigger_id`.
    campaign, version
        Whose rules; content hash of them as they stood.
    customer
        Whom to contact.
    channel, offer
        By which way; with what.
    risk, threshold
        The risk at the crossing; the campaign's, where it is one of risk.
    stage, model
        The customer's stage; version of the model that computed the risk.
    reasons
        What moved the risk most, with how much.
    at, expires_at
        The crossing, epoch milliseconds; after this it is void, epoch milliseconds.

    """

    decision: str
    campaign: str
    version: str
    customer: str
    channel: str
    offer: str
    risk: float
    threshold: float | None
    stage: Stage
    model: int
    reasons: list[Reason]
    at: int
    expires_at: int


def trigger_of(decision: Decision) -> Trigger:
    """Return the trigger of a decision that fired."""
    return Trigger(
        decision=decision.id,
        campaign=decision.campaign,
        version=decision.version,
        customer=decision.customer,
        channel=decision.channel,
        offer=decision.offer,
        risk=decision.risk,
        threshold=decision.threshold,
        stage=decision.stage,
        model=decision.model,
        reasons=decision.reasons,
        at=decision.at,
        expires_at=decision.expires_at,
    )
