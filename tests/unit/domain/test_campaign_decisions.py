"""Each check, what its failure does, and that the arm is drawn only after all of them."""

from typing import Any

import pytest

from shared.domain.campaign_decisions import decide, enrolled, expired
from shared.domain.campaign_outputs import Checked, Decision, trigger_of
from shared.domain.campaigns import UNTOUCHED, Arming, Audience, Campaign
from shared.domain.checks import CHECKS, Crossing, consented
from shared.domain.outputs import Score
from tests.campaign_builders import DAY, HOUR, T0, campaign, consents, score

CONTROL = campaign(control=1.0)


def decided(
    rule: Campaign | None = None,
    crossing: Score | None = None,
    *,
    arming: Arming = UNTOUCHED,
    now: int = T0,
) -> Decision:
    score_now = crossing or score(risk=0.7)
    return decide(Crossing(rule or campaign(), score_now, arming, 0.55, now, "salt"))


def failed(decision: Decision) -> list[str]:
    return [each.check for each in decision.checks if not each.passed]


def test_who_passes_every_check_is_contacted() -> None:
    decision = decided()
    assert (decision.outcome, decision.arm) == ("fired", "treatment")
    assert [each.check for each in decision.checks] == list(CHECKS)
    assert all(each == Checked(each.check, passed=True) for each in decision.checks)


def test_the_control_group_is_held_out() -> None:
    decision = decided(CONTROL)
    assert (decision.outcome, decision.arm) == ("held_out", "control")


@pytest.mark.parametrize(
    ("check", "rule", "other"),
    [
        ("state", {"state": "draft"}, {}),
        ("state", {"state": "paused"}, {}),
        ("account", {}, {"closed": True}),
        ("stage", {}, {"stage": "lapsed"}),
        ("stage", {"audience": Audience(stages=frozenset({"decline"}))}, {"stage": "growth"}),
        ("consent", {"audience": Audience(consent="sms/marketing")}, {}),
        ("consent", {}, {"profile": consents({"sms": False})}),
    ],
)
@pytest.mark.parametrize("control", [0.0, 1.0])
def test_a_failed_check_suppresses_before_any_arm_is_drawn(
    check: str, rule: dict[str, Any], other: dict[str, Any], control: float
) -> None:
    decision = decided(campaign(control=control, **rule), score(risk=0.7, **other))
    assert (decision.outcome, decision.arm) == ("suppressed", None)
    assert failed(decision) == [check]


def test_every_check_is_recorded_even_when_several_fail() -> None:
    decision = decided(campaign(state="paused"), score(risk=0.7, closed=True, stage="lapsed"))
    assert failed(decision) == ["state", "account", "stage"]
    reasons = {each.check: each.reason for each in decision.checks}
    assert reasons["state"] == "the campaign is paused"
    assert reasons["consent"] is None


def test_consent_that_was_given_opens_the_channel() -> None:
    asking = campaign(audience=Audience(consent="sms/marketing"))
    given = score(risk=0.7, profile=consents({"sms/marketing": True}))
    assert decided(asking, given).outcome == "fired"


@pytest.mark.parametrize(
    ("consent", "given"),
    [
        ({}, False),
        ({"email": True}, False),
        ({"sms/service": True}, False),
        ({"sms": True}, True),
        ({"sms/marketing": True}, True),
        ({"sms": True, "sms/marketing": False}, False),
        ({"sms": False, "sms/marketing": True}, False),
    ],
)
def test_a_withdrawal_outweighs_consent(consent: dict[str, bool], given: bool) -> None:
    assert consented(consent, "sms/marketing") is given


@pytest.mark.parametrize(
    ("since", "outcome"),
    [(0, "suppressed"), (7 * DAY - 1, "suppressed"), (7 * DAY, "fired"), (8 * DAY, "fired")],
)
def test_the_cool_down_ends_on_the_millisecond(since: int, outcome: str) -> None:
    resting = Arming(number=2, enrolled_at=T0 - since)
    assert decided(campaign(cool_down_ms=7 * DAY), arming=resting).outcome == outcome


@pytest.mark.parametrize("control", [0.0, 1.0])
@pytest.mark.parametrize(("age", "late"), [(0, False), (HOUR, False), (HOUR + 1, True)])
def test_an_old_crossing_expires_in_both_arms_alike(control: float, age: int, late: bool) -> None:
    decision = decided(campaign(control=control), now=T0 + age)
    assert (decision.outcome == "expired") is late
    assert decision.expires_at == T0 + HOUR
    if late:
        assert decision.arm is None
        assert failed(decision) == ["validity"]


def test_the_past_expires_whatever_the_other_checks_say() -> None:
    decision = decided(campaign(state="paused"), now=T0 + DAY)
    assert decision.outcome == "expired"
    assert failed(decision) == ["state", "validity"]


def test_a_clock_ahead_of_ours_does_not_expire() -> None:
    assert decided(now=T0 - HOUR).outcome == "fired"


def test_only_the_arms_use_up_the_cool_down() -> None:
    late = decided(now=T0 + DAY)
    stopped = decided(campaign(state="paused"))
    used = [enrolled(each) for each in (decided(), decided(CONTROL), late, stopped)]
    assert used == [True, True, False, False]


def test_what_expires_at_the_outbox_keeps_its_id_and_arm() -> None:
    fired = decided()
    late = expired(fired)
    assert (late.id, late.outcome, late.arm) == (fired.id, "expired", "treatment")


def test_a_decision_says_what_it_saw() -> None:
    decision = decided()
    assert (decision.before, decision.risk, decision.threshold) == (0.55, 0.7, 0.6)
    assert (decision.at, decision.decided_at, decision.model) == (T0, T0, 3)
    assert (decision.version, decision.number, decision.customer) == ("v1", 1, "anna")


def test_a_trigger_carries_what_a_campaign_tool_needs() -> None:
    decision = decided()
    trigger = trigger_of(decision)
    assert (trigger.decision, trigger.customer, trigger.offer, trigger.channel) == (
        decision.id, "anna", "ten-percent", "sms",
    )  # fmt: skip
    assert trigger.expires_at == T0 + HOUR
    assert trigger.reasons == decision.reasons
