"""Leads: what is known of each, the rates that are counted, and whether they foresee anything."""

import math
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.leads import BANDS, Known, Lead, Rates, follow, ranked
from shared.domain.outputs import Profile, Score
from shared.domain.policy import DAY_MS
from tests.campaign_builders import T0, score

H = 28.0


def heard(step: int = 0, status: str | None = "lead", **other: object) -> Score:
    """Return a score of somebody who has not paid."""
    fresh = {"stage": "prospect", "stage_since": T0, "spend": 0.0, "revenue": 0.0}
    activity = {"first_activity": 0, "last_activity": 0, "visits": 0}
    return score(step=step, profile=Profile(status=status), **{**fresh, **activity, **other})


def followed(*scores: Score) -> Lead | None:
    lead: Lead | None = None
    for number, each in enumerate(scores):
        lead = follow(lead, each, known=number > 0)
    return lead


def test_a_lead_is_followed_until_something_is_paid() -> None:
    qualified = heard(10, "qualified")
    paid = score(step=20, spend=9.0, last_activity=qualified.at + 5)
    before = followed(heard(), qualified, heard(12, "qualified"))
    assert before == Lead(T0, [(T0, "lead"), (qualified.at, "qualified")])
    after = followed(
        heard(), qualified, paid, heard(30, "opportunity"), score(step=40, closed=True)
    )
    assert after == Lead(T0, [(T0, "lead"), (qualified.at, "qualified")], qualified.at + 5)


def test_what_the_system_charges_is_paid_too() -> None:
    charged = heard(3, revenue=5.0)
    found = followed(heard(), charged)
    assert found is not None
    assert found.paid_at == charged.at


def test_an_account_that_is_closed_ends_a_lead_until_it_is_opened_again() -> None:
    ended = followed(heard(), heard(5, closed=True), heard(6, closed=True))
    assert ended is not None
    assert ended.ended_at == heard(5).at
    again = followed(heard(), heard(5, closed=True), heard(7))
    assert again is not None
    assert again.ended_at is None


@pytest.mark.parametrize(
    "scores",
    [
        [score(spend=1.0), heard(1)],
        [heard(closed=True), heard(1)],
    ],
)
def test_who_paid_or_left_before_being_heard_of_is_none(scores: list[Score]) -> None:
    assert followed(*scores) is None


def lead(since_days: float, *stages: str, paid: float | None = None, source: str = "web") -> Known:
    """Return a lead of so many days ago, who stood a week in each stage, and when it paid."""
    since = T0 - round(since_days * DAY_MS)
    at = [(since + 7 * DAY_MS * number, stage) for number, stage in enumerate(stages or ("lead",))]
    paid_at = None if paid is None else since + round(paid * DAY_MS)
    return Known(f"c{since_days}{stages}{paid}{source}", source, Lead(since, at, paid_at))


def test_the_rates_are_those_of_the_definition() -> None:
    leads = [lead(20.0), lead(3.0), lead(50.0, paid=5.0), lead(10.0, "lead", "qualified")]
    rates = Rates(leads, T0)
    # Days at an age of up to a week, then of up to a month: (7, 13), (3,), (5,), (7, 3).
    base = 2 / (7 + 13 + 3 + 5 + 7 + 3 + 365)
    young = 2 / (22 + 1 / base)
    older = 1 / (16 + 1 / base)
    assert rates.rate("lead", 0) == pytest.approx((1 + 300 * young) / (22 + 300))
    assert rates.rate("lead", 1) == pytest.approx(300 * older / (13 + 300))
    assert rates.rate("qualified", 1) == pytest.approx(300 * older / (3 + 300))
    assert rates.rate("opportunity", 0) == pytest.approx(young)
    expected = 22 * rates.rate("lead", 0) + 13 * rates.rate("lead", 1)
    expected += 3 * rates.rate("qualified", 1)
    factor = (1 + 5) / (expected + 5)
    ahead = 10 * rates.rate("lead", 1) + 18 * rates.rate("lead", 2)  # from an age of 20 days on
    assert rates.chance(leads[0], T0, H) == pytest.approx(1 - math.exp(-factor * ahead))


lives = st.lists(
    st.builds(
        lead,
        st.floats(0, 200),
        st.sampled_from(["lead", "qualified", "trial_started"]),
        paid=st.none() | st.floats(0, 200),
        source=st.sampled_from(["web", "shop"]),
    ),
    max_size=15,
)


@given(lives)
def test_chances_are_chances_and_the_list_is_in_their_order(leads: list[Known]) -> None:
    found = ranked(leads, T0, H)
    waiting = [each for each in leads if each.lead.paid_at is None]
    assert sorted(each.customer for each in found) == sorted(each.customer for each in waiting)
    chances = [each.chance for each in found]
    assert all(0 < each < 1 for each in chances)
    assert chances == sorted(chances, reverse=True)
    assert ranked(leads, T0, H, 3) == found[:3]
    if found:
        assert sum(each.lift for each in found) == pytest.approx(len(found))


def test_nobody_was_ever_a_lead() -> None:
    assert ranked([], T0, H) == []


#: What is true of simulated leads: payments a day by source, stage, and age.
SOURCES = {"shop": 3.0, "web": 1.0, "fair": 0.2}
STAGES = {"lead": 0.004, "qualified": 0.012, "trial_started": 0.05}


def simulated(draw: Random, since: int) -> tuple[str, Lead]:
    """Return a lead by its whole life: a stage after the other, paying the rarer the older."""
    source = draw.choice(list(SOURCES))
    stages = [(since, "lead")]
    for stage in ("qualified", "trial_started"):
        if draw.random() < 0.5:
            stages.append((stages[-1][0] + draw.randint(1, 20) * DAY_MS, stage))
    for day in range(400):
        at = since + day * DAY_MS
        stage = next(name for start, name in reversed(stages) if start <= at)
        aged = 1.0 if day < BANDS[2] else 0.3
        if draw.random() < SOURCES[source] * STAGES[stage] * aged:
            return source, Lead(since, [each for each in stages if each[0] <= at], at + DAY_MS // 2)
    return source, Lead(since, stages)


def as_of(who: str, source: str, whole: Lead, at: int) -> Known:
    """Return what was known of a lead at a time."""
    paid = whole.paid_at if whole.paid_at is not None and whole.paid_at <= at else None
    stages = [each for each in whole.stages if each[0] <= at]
    return Known(who, source, Lead(whole.since, stages, paid))


@pytest.mark.parametrize("seed", range(3))
def test_simulated_leads_are_foreseen_better_than_by_their_base_rate(seed: int) -> None:
    """Prequentially: each month by what was known at its begin, against what came of it.

    The base rate is that of all leads' days until then. What is not foreseen: that a lead gets on
    to a better stage within the horizon, so fewer payments are expected than come.
    """
    draw = Random(seed)
    lives = {f"c{n}": simulated(draw, T0 + draw.randrange(360) * DAY_MS) for n in range(1_500)}
    loss = base_loss = predicted = came = 0.0
    better = pairs = 0.0
    for month in range(4, 12):
        at = T0 + month * 28 * DAY_MS
        known = {
            who: as_of(who, source, life, at)
            for who, (source, life) in lives.items()
            if life.since <= at
        }
        found = ranked(list(known.values()), at, H)
        rate = plain_rate(known.values(), at)
        paid = {each.customer: _pays(lives[each.customer][1], at) for each in found}
        for each in found:
            y = paid[each.customer]
            loss -= math.log(each.chance if y else 1 - each.chance)
            base_loss -= math.log(rate if y else 1 - rate)
            predicted, came = predicted + each.chance, came + y
        yes = [each.chance for each in found if paid[each.customer]]
        no = [each.chance for each in found if not paid[each.customer]]
        better += sum((one > other) + 0.5 * (one == other) for one in yes for other in no)
        pairs += len(yes) * len(no)
    assert loss < 0.85 * base_loss
    assert better / pairs > 0.75
    assert 0.7 < predicted / came < 1.1


def plain_rate(leads: Iterable[Known], at: int) -> float:
    """Return the chance to pay within the horizon by payments over days, of all leads alike."""
    lives = [each.lead for each in leads]
    days = sum(((each.paid_at or at) - each.since) / DAY_MS for each in lives)
    paid = sum(each.paid_at is not None for each in lives)
    return 1 - math.exp(-H * (paid + 1) / (days + 365))


def _pays(life: Lead, at: int) -> bool:
    return life.paid_at is not None and at < life.paid_at <= at + round(H) * DAY_MS
