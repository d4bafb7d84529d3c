"""From a crossing to a decision: every check with its outcome, then the arm, then the outcome.

A check is a pure function from a crossing to the reason it fails, or ``None``; a further guard
rail is one more function in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.campaign_outputs import Arm, Checked, Decision, Outcome
from shared.domain.campaigns import Arming, Campaign, decision_id, draw_arm
from shared.domain.outputs import Score


class Crossing(Struct, frozen=True):
    """All that a decision may depend on.

    ``arming`` is as it was before the crossing, ``before`` the risk when the customer was last
    seen, and ``now`` the wall clock, epoch milliseconds.
    """

    campaign: Campaign
    score: Score
    arming: Arming
    before: float | None
    now: int


Check = Callable[[Crossing], str | None]


def decide(crossing: Crossing, salt: str) -> Decision:
    """Decide about a crossing; ``salt`` is that of the control groups."""
    checks = [_run(name, check, crossing) for name, check in CHECKS.items()]
    arm = _arm(crossing, checks, salt)
    return _record(crossing, checks, _outcome(crossing, arm), arm)


def expired(decision: Decision) -> Decision:
    """Return what becomes of a decision whose trigger did not leave in time, in either arm."""
    return replace(decision, outcome="expired")


def enrolled(decision: Decision) -> bool:
    """Tell whether the decision uses up the campaign's cool-down, in either arm."""
    return decision.outcome in ("fired", "held_out")


def consented(consent: dict[str, bool], wanted: str) -> bool:
    """Tell whether consent was given for ``channel`` or ``channel/purpose``.

    Consent for a channel covers its purposes; a withdrawal of either outweighs it.

    >>> consented({"sms": True}, "sms/marketing")
    True
    >>> consented({"sms": False, "sms/marketing": True}, "sms/marketing")
    False
    """
    answers = {consent.get(wanted), consent.get(_channel(wanted))}
    return True in answers and False not in answers


def _channel(wanted: str) -> str:
    return wanted.partition("/")[0]


def _check_state(crossing: Crossing) -> str | None:
    state = crossing.campaign.state
    return None if state == "live" else f"the campaign is {state}"


def _check_account(crossing: Crossing) -> str | None:
    return "the account is closed" if crossing.score.closed else None


def _check_stage(crossing: Crossing) -> str | None:
    stage, wanted = crossing.score.stage, crossing.campaign.audience.stages
    if stage in wanted:
        return None
    return f"stage {stage} is not one of {', '.join(sorted(wanted))}"


def _check_consent(crossing: Crossing) -> str | None:
    wanted, given = crossing.campaign.audience.consent, crossing.score.profile.consent
    if wanted is not None and not consented(given, wanted):
        return f"no consent for {wanted}"
    # A withdrawal counts whether or not the campaign asks for consent.
    if given.get(crossing.campaign.channel) is False:
        return f"consent for {crossing.campaign.channel} is withdrawn"
    return None


def _check_cool_down(crossing: Crossing) -> str | None:
    last = crossing.arming.enrolled_at
    left = 0 if last is None else last + crossing.campaign.cool_down_ms - crossing.score.at
    return f"{left} ms of the cool-down are left" if left > 0 else None


def _check_validity(crossing: Crossing) -> str | None:
    late = crossing.now - _expires_at(crossing)
    return f"the crossing expired {late} ms ago" if late > 0 else None


#: Every check is made and recorded, whatever the others say.
CHECKS: Final[dict[str, Check]] = {
    "state": _check_state,
    "account": _check_account,
    "stage": _check_stage,
    "consent": _check_consent,
    "cool_down": _check_cool_down,
    "validity": _check_validity,
}


def _run(name: str, check: Check, crossing: Crossing) -> Checked:
    reason = check(crossing)
    return Checked(name, reason is None, reason)


def _expires_at(crossing: Crossing) -> int:
    return crossing.score.at + crossing.campaign.valid_for_ms


def _arm(crossing: Crossing, checks: list[Checked], salt: str) -> Arm | None:
    """Draw the arm, after every check: who is not contacted anyway is in no experiment."""
    if not all(checked.passed for checked in checks):
        return None
    return draw_arm(crossing.campaign, crossing.score.customer, salt)


def _outcome(crossing: Crossing, arm: Arm | None) -> Outcome:
    if crossing.now > _expires_at(crossing):
        return "expired"  # first: what the past would have done is not a guard rail's merit
    if arm is None:
        return "suppressed"
    return "held_out" if arm == "control" else "fired"


def _record(
    crossing: Crossing, checks: list[Checked], outcome: Outcome, arm: Arm | None
) -> Decision:
    campaign, score, number = crossing.campaign, crossing.score, crossing.arming.number
    return Decision(
        id=decision_id(campaign.name, score.customer, number),
        customer=score.customer,
        campaign=campaign.name,
        version=campaign.version,
        number=number,
        outcome=outcome,
        arm=arm,
        checks=checks,
        at=score.at,
        decided_at=crossing.now,
        expires_at=_expires_at(crossing),
        origin=score.origin,
        risk=score.risk,
        before=crossing.before,
        threshold=campaign.trigger.threshold,
        stage=score.stage,
        model=score.model,
        reasons=score.reasons,
        channel=campaign.channel,
        offer=campaign.offer,
    )
