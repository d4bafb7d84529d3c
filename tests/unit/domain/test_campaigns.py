"""What a crossing is, when a customer is armed, which arm is drawn, and ids that never change."""

from uuid import UUID

import pytest

from shared.domain import campaigns as rules
from shared.domain.campaigns import (
    UNTOUCHED,
    Arming,
    decision_id,
    disarmed,
    draw_arm,
    released,
)
from shared.domain.outputs import Score
from shared.domain.seen import Seen
from shared.domain.triggers import RiskOver
from tests.campaign_builders import DAY, T0, campaign, score

TRIGGER = RiskOver(threshold=0.6, rearm_below=0.5)
EXISTING = RiskOver(threshold=0.6, rearm_below=0.5, include_existing=True)
DISARMED = Arming(armed=False)


def crosses(trigger: RiskOver, arming: Arming, before: float | None, now: Score) -> bool:
    last = None if before is None else Seen.of(score(risk=before))
    return rules.crosses(trigger, arming, last, Seen.of(now), now.cause)


def rearmed(trigger: RiskOver, arming: Arming, risk: float) -> Arming:
    return rules.rearmed(trigger, arming, None, Seen.of(score(risk=risk)))


@pytest.mark.parametrize(
    ("before", "risk", "crossing"),
    [
        (0.59, 0.6, True),  # at the threshold is over it
        (0.1, 0.99, True),
        (0.59, 0.59, False),
        (0.6, 0.7, False),  # it was over it already
        (0.7, 0.6, False),
        (None, 0.9, False),  # first sight
    ],
)
def test_a_crossing_was_below_and_is_at_or_over(
    before: float | None, risk: float, crossing: bool
) -> None:
    assert crosses(TRIGGER, UNTOUCHED, before, score(risk=risk)) is crossing


def test_a_new_model_alone_makes_no_crossing() -> None:
    assert not crosses(TRIGGER, UNTOUCHED, 0.1, score(risk=0.9, cause="model"))
    assert crosses(TRIGGER, UNTOUCHED, 0.1, score(risk=0.9, cause="review"))


@pytest.mark.parametrize(("before", "cause"), [(None, "event"), (0.7, "event"), (0.1, "model")])
def test_existing_customers_count_where_the_campaign_asks_for_them(
    before: float | None, cause: str
) -> None:
    over, below = score(risk=0.9, cause=cause), score(risk=0.59, cause=cause)
    assert crosses(EXISTING, UNTOUCHED, before, over)
    assert not crosses(EXISTING, UNTOUCHED, before, below)


@pytest.mark.parametrize("trigger", [TRIGGER, EXISTING])
def test_the_disarmed_do_not_cross(trigger: RiskOver) -> None:
    assert not crosses(trigger, DISARMED, 0.1, score(risk=0.9))


def test_falling_below_the_threshold_less_the_hysteresis_arms_anew() -> None:
    assert rearmed(TRIGGER, DISARMED, 0.5) is DISARMED
    assert rearmed(TRIGGER, DISARMED, 0.499) == Arming(number=2, armed=True)
    assert rearmed(TRIGGER, Arming(number=2), 0.1) == Arming(number=2)


def test_a_decision_disarms_and_an_enrolment_is_remembered() -> None:
    enrolled = disarmed(UNTOUCHED, T0)
    assert enrolled == Arming(number=1, armed=False, enrolled_at=T0, first_at=T0, enrolments=1)
    again = rearmed(TRIGGER, enrolled, 0.1)
    assert disarmed(again, None) == Arming(
        number=2, armed=False, enrolled_at=T0, first_at=T0, enrolments=1
    )
    later = disarmed(again, T0 + DAY)
    assert later == Arming(number=2, armed=False, enrolled_at=T0 + DAY, first_at=T0, enrolments=2)


def test_only_the_enrolment_that_expired_is_released() -> None:
    enrolled = disarmed(UNTOUCHED, T0)
    assert released(enrolled, T0).enrolled_at is None
    assert released(enrolled, T0) == Arming(armed=False)
    other = released(disarmed(enrolled, T0 + DAY), T0 + 1)
    assert (other.enrolled_at, other.first_at, other.enrolments) == (T0 + DAY, T0, 1)


def test_a_decision_id_follows_from_campaign_customer_and_number() -> None:
    ids = {
        decision_id(name, customer, number)
        for name in ("early-warning", "win-back")
        for customer in ("anna", "1/anna", "11/anna")
        for number in (1, 11)
    }
    assert len(ids) == 12
    assert UUID(decision_id("early-warning", "anna", 1)).version == 5


def test_decision_ids_never_change() -> None:
    """Recomputed with uuid5 by hand: another id would contact everybody again."""
    from uuid import uuid5

    namespace = uuid5(UUID("6c1a1d1e-5f2b-5a9e-9b1e-74656e757265"), "early-warning")
    assert decision_id("early-warning", "anna", 3) == str(uuid5(namespace, "3/anna"))


def test_the_control_group_has_its_share_and_stays_who_it_is() -> None:
    held = campaign(control=0.1)
    customers = [f"c{number}" for number in range(20_000)]
    control = {each for each in customers if draw_arm(held, each, "salt") == "control"}
    # Four standard deviations of a binomial with 20,000 draws at .1 are 170.
    assert abs(len(control) - 2_000) < 170
    larger = campaign(control=0.2)
    assert control <= {each for each in customers if draw_arm(larger, each, "salt") == "control"}


@pytest.mark.parametrize(("control", "arm"), [(0.0, "treatment"), (1.0, "control")])
def test_no_one_or_everyone_is_held_out(control: float, arm: str) -> None:
    held = campaign(control=control)
    assert {draw_arm(held, f"c{number}", "salt") for number in range(1_000)} == {arm}


def test_salt_and_campaign_draw_anew() -> None:
    customers = [f"c{number}" for number in range(1_000)]

    def arms(name: str, salt: str) -> list[str]:
        return [draw_arm(campaign(name, control=0.5), each, salt) for each in customers]

    assert arms("one", "salt") != arms("one", "other")
    assert arms("one", "salt") != arms("two", "salt")
