"""From a crossing to a decision: every check with its reason, then the arm, then the outcome."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from shared.domain.bandit import choose
from shared.domain.campaign_outputs import Arm, Checked, Decision, Outcome, Told
from shared.domain.campaigns import draw_arm, left_alone
from shared.domain.checks import CHECKS, Check, Crossing
from shared.domain.offers import Learned
from shared.domain.triggers import RiskOver, RiskUnder

_PASSED: Final = {name: Checked(name, passed=True) for name in CHECKS}


def decide(crossing: Crossing) -> Decision:
    """Decide about a crossing."""
    checks = [_run(name, check, crossing) for name, check in CHECKS.items()]
    outcome = _barred(crossing, checks)
    # After every check: who is not contacted anyway is in no experiment.
    arm = None if outcome else _drawn(crossing)
    return _record(crossing, checks, outcome or ("held_out" if arm == "control" else "fired"), arm)


def offered(decision: Decision, crossing: Crossing, learned: Learned) -> Decision:
    """Return a decision with the offer that the customer gets, or would get if not held out.

    In either arm, so that each offer has a control group of its own. What was told before stays.
    """
    offers = crossing.campaign.offers
    if offers is None or decision.offer:
        return decision
    context = offers.context(crossing.score)
    offer, chosen = choose(offers, learned, context, decision.id)
    return replace(decision, offer=offer, chosen=chosen)


def expired(decision: Decision) -> Decision:
    """Return what becomes of a decision whose trigger did not leave in time, in either arm."""
    return replace(decision, outcome="expired")


def withdrawn(decision: Decision) -> Decision:
    """Return what becomes of a deferred decision whose campaign was taken out of the file."""
    gone = Checked("state", passed=False, reason="the campaign was taken out of the file")
    checks = [gone if each.check == gone.check else each for each in decision.checks]
    return replace(decision, outcome="suppressed", checks=checks, opens_at=None, waits_for=None)


def as_told(decision: Decision, told: Told) -> Decision:
    """Return a decision that is made again as the world was told of it before.

    A database that is restored from a backup forgets what was decided since: what left has left.
    """
    arms: dict[Outcome, Arm] = {"fired": "treatment", "held_out": "control"}
    return replace(
        decision,
        outcome=told.outcome,
        arm=arms.get(told.outcome),
        opens_at=None,
        waits_for=None,
        recalled=True,
        offer=told.offer or decision.offer,
    )


def enrolled(decision: Decision) -> bool:
    """Tell whether the decision uses up the campaign's cool-down, in either arm."""
    return decision.outcome in ("fired", "held_out")


def _drawn(crossing: Crossing) -> Arm:
    return draw_arm(crossing.campaign, crossing.score.customer, crossing.salt, crossing.rails)


def _barred(crossing: Crossing, checks: list[Checked]) -> Outcome | None:
    """Return what becomes of a crossing that enrols nobody now."""
    if crossing.now > crossing.expires_at:
        return "expired"  # first: what the past would have done is not a guard rail's merit
    if not all(checked.passed for checked in checks):
        return "suppressed"
    return None if crossing.waits is None else "deferred"


def _run(name: str, check: Check, crossing: Crossing) -> Checked:
    reason = check(crossing)
    return _PASSED[name] if reason is None else Checked(name, passed=False, reason=reason)


def _record(
    crossing: Crossing, checks: list[Checked], outcome: Outcome, arm: Arm | None
) -> Decision:
    campaign, score, number = crossing.campaign, crossing.score, crossing.arming.number
    trigger = campaign.trigger
    opens_at, waits_for = (outcome == "deferred" and crossing.waits) or (None, None)
    return Decision(
        id=crossing.id,
        customer=score.customer,
        campaign=campaign.name,
        version=campaign.version,
        number=number,
        outcome=outcome,
        arm=arm,
        checks=checks,
        at=score.at,
        decided_at=crossing.now,
        expires_at=crossing.expires_at,
        origin=score.origin,
        risk=score.risk,
        before=crossing.before,
        threshold=trigger.threshold if isinstance(trigger, RiskOver | RiskUnder) else None,
        stage=score.stage,
        model=score.model,
        reasons=score.reasons,
        channel=campaign.channel,
        offer="" if campaign.offers else campaign.offer,
        trigger=str(trigger),
        opens_at=opens_at,
        crossed_at=crossing.crossed_at,
        waits_for=waits_for,
        left_alone=_left_alone(crossing),
        own_topic=campaign.own_topic,
    )


def _left_alone(crossing: Crossing) -> bool:
    rails, customer = crossing.rails, crossing.score.customer
    if rails.control == 0 or crossing.campaign.transactional:
        return False
    return left_alone(rails, customer, crossing.salt)
