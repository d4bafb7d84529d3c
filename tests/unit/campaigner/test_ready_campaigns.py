"""The ready campaigns, tried on lives that each of them is for, and on lives that none is for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from services.campaigner.campaign_file import read_campaigns
from shared.domain.budgets import Purse
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.controls import Controls
from shared.domain.dealings import Dealings, ServiceUse, Touch
from shared.domain.outputs import Profile, Score
from shared.domain.standings import Standings
from tests.campaign_builders import DAY, HOUR, T0, raw, score
from tests.campaign_lives import Bank

BOOK = read_campaigns(Path("deploy/examples/lifecycle.yaml"))
#: As they are, but live, for all, and with neither control groups nor an end.
LIVE = tuple(
    replace(each, state="live", control=0.0, rollout=1.0, starts=None, ends=None)
    for each in BOOK.campaigns
)
RAILS = replace(BOOK.rails, control=0.0)
#: 10:00 in London, so that nothing waits for the end of the night.
MORNING = T0 + 2 * HOUR
STEADY: dict[str, Any] = {
    "stage": "maturity",
    "risk": 0.3,
    "p_churn": 0.2,
    "first_activity": MORNING - 200 * DAY,
    "last_activity": MORNING - DAY,
    "visits": 60,
    "spend": 90.0,
    "revenue": 300.0,
    "margin": 90.0,
    "clv": 80.0,
    "segment": "loyal",
    "rfm": "555",
    "risk_7d_ago": 0.3,
    "risk_30d_ago": 0.15,
    "expected_spend": 20.0,
    "expected_visits": 4.0,
}
GB = Profile(plan="basic", brand="main", market="gb", balance=10.0, time_zone="Europe/London")


class Life(NamedTuple):
    """What a customer is like (``None``: not known yet), what is different days later."""

    before: dict[str, Any] | None
    after: dict[str, Any]
    days: float = 1.0


def data(day_30: float, day_90: float) -> Dealings:
    return Dealings(services={"data": ServiceUse(MORNING, 9.0, day_30, day_90)})


def touched(outcome: Any, **other: Any) -> Dealings:  # noqa: ANN401  # of the wire
    return Dealings(last_contact=Touch(at=MORNING, channel="email", outcome=outcome), **other)


CARED = replace(GB, consent={"email": True})
LIVES: dict[str, Life] = {
    "welcome": Life(
        None, {"stage": "onboarding", "purchases": 1, "first_activity": MORNING, "spend": 0}
    ),
    "activation": Life(
        {"stage": "onboarding", "visits": 1, "first_activity": MORNING - 4 * DAY, "spend": 5.0},
        {},
        days=5,
    ),
    "trial-to-paid": Life(
        {"stage": "growth", "profile": GB}, {"dealings": Dealings(trial_at=MORNING)}
    ),
    "cross-sell": Life({"stage": "growth", "profile": GB}, {"spend": 100.0}),
    "accessories": Life({}, {"dealings": Dealings(products={"phone": MORNING})}),
    "data-for-those-who-use-it": Life(
        {"dealings": data(210.0, 200.0)}, {"dealings": data(320.0, 200.0)}
    ),
    "hundredth-purchase": Life({"purchases": 99}, {"purchases": 100}),
    "anniversary": Life({"first_activity": MORNING - 364 * DAY}, {}, days=2),
    "refer-a-friend": Life({"profile": CARED}, {"dealings": touched("rated", rating=10.0)}),
    "calm-again": Life({"stage": "won_back", "risk": 0.5}, {"risk": 0.15}),
    "complaint-care": Life({}, {"dealings": Dealings(complaints=1, complained_at=MORNING)}),
    "early-warning": Life({"clv": 60.0}, {"risk": 0.65, "stage": "decline", "risk_7d_ago": 0.6}),
    "rising-risk": Life({}, {"risk": 0.55, "risk_7d_ago": 0.3}),
    "usage-falls": Life({"dealings": data(100.0, 100.0)}, {"dealings": data(40.0, 90.0)}),
    "contract-renewal": Life(
        {"profile": replace(GB, contract_end=MORNING + 31 * DAY)},
        {"profile": replace(GB, contract_end=MORNING + 31 * DAY, status="plan_changed")},
        days=2,
    ),
    "notice-given": Life({}, {"dealings": Dealings(notice_at=MORNING)}),
    "recharge-reminder": Life(
        {"profile": replace(GB, balance=1.5, expiry=MORNING + 4 * DAY)}, {}, days=2
    ),
    "balance-low": Life(
        {"profile": GB},
        {
            "profile": replace(GB, balance=0.5),
            "dealings": Dealings(recharge_days=20.0, recharged_at=MORNING - 18 * DAY),
        },
    ),
    "overdue-care": Life({}, {"dealings": Dealings(overdue_since=MORNING, payments_failed=1)}),
    "win-back": Life(
        {"profile": replace(GB, consent={"email": True}), "last_activity": MORNING - 30 * DAY},
        {"stage": "dormant"},
    ),
    "spring-sale": Life(
        {"dealings": touched("sent", accepted=1)}, {"dealings": touched("accepted", accepted=2)}
    ),
}


def lived(life: Life) -> list[Decision]:
    """Return what is decided about a customer, the time between told by the hour."""
    before, at = life.before or {}, MORNING + round(life.days * DAY)
    moved = {"last_activity": at} if "purchases" in life.after else {}
    then = score(step=1, at=at, **{**STEADY, **before, **moved, **life.after})
    if life.before is None:
        return decided([then])
    first = score(at=MORNING, **{**STEADY, **before})
    return decided([first, *range(MORNING + HOUR, at, HOUR), then])


def decided(told: Sequence[Score | int]) -> list[Decision]:
    approved = frozenset((each.name, each.version) for each in LIVE)
    rules = Rules(LIVE, "salt", RAILS, Controls(approved=approved))
    standings, bank = Standings(), Bank()
    found, last = dict[str, Decision](), dict[str, Score]()
    for each in told:
        batch, at = Batch(Lease(0, 1), 0, 1), each if isinstance(each, int) else each.at
        purse = Purse(bank.lend)
        fold = Fold(standings, batch, rules, at, last.__getitem__, purse=purse)
        if isinstance(each, int):
            fold.pass_time(each)
        else:
            fold.take(each, raw(each))
            last[each.customer] = each
        bank.spent.update(purse.spent)
        found |= {one.id: one for one in (*batch.decisions, *batch.revised)}
    return list(found.values())


@pytest.mark.parametrize("name", [each.name for each in BOOK.campaigns])
def test_each_campaign_contacts_whom_it_is_for_and_no_other_does(name: str) -> None:
    decisions = lived(LIVES[name])
    reasons = [
        (each.campaign, each.outcome, [one.reason for one in each.checks if one.reason])
        for each in decisions
    ]
    assert [each.campaign for each in decisions if each.outcome == "fired"] == [name], reasons


def test_a_steady_customer_is_left_alone() -> None:
    decisions = lived(Life({"profile": GB}, {}, days=20))
    assert [each.campaign for each in decisions if each.outcome == "fired"] == []


NOT_THOSE: dict[str, Life] = {
    "complaint-care": Life({}, {"dealings": Dealings(complaints=1), "clv": 5.0}),
    "win-back": Life({"profile": GB, "last_activity": MORNING - 30 * DAY}, {"stage": "dormant"}),
    "early-warning": Life(
        {}, {"risk": 0.65, "dealings": Dealings(complaints=1, complained_at=MORNING)}
    ),
    "balance-low": Life({"profile": GB}, {"profile": replace(GB, balance=0.5)}),
    "refer-a-friend": Life({"profile": CARED}, {"dealings": touched("rated", rating=6.0)}),
    "cross-sell": Life(
        {"stage": "growth", "profile": GB, "dealings": Dealings(products={"plus-package": T0})},
        {"spend": 100.0},
    ),
    "anniversary": Life(
        {"first_activity": MORNING - 364 * DAY, "segment": "new", "visits": 49}, {}, days=2
    ),
}


@pytest.mark.parametrize("name", NOT_THOSE)
def test_whom_its_audience_leaves_out_it_does_not_contact(name: str) -> None:
    decisions = [each for each in lived(NOT_THOSE[name]) if each.campaign == name]
    assert [each.outcome for each in decisions] == ["suppressed"]
    (failed,) = [[one.check for one in each.checks if not one.passed] for each in decisions]
    assert failed[0] in ("audience", "consent")
