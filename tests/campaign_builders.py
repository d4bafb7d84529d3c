"""Scores and campaigns as the campaigner's tests need them: each names only what it is about."""

from collections.abc import Mapping

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.campaigns import Audience, Campaign
from shared.domain.outputs import Cause, Identity, Profile, Reason, Score, Stage
from shared.domain.triggers import RiskOver

T0 = 1_800_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_SCORE = Score(
    customer="anna",
    at=T0,
    origin=Identity(0, 0, 0),
    cause="event",
    stage="growth",
    stage_since=T0 - DAY,
    risk=0.5,
    model=3,
    features=[0.25, 4.0],
    reasons=[Reason("recency", 0.75, "silent for 12 days")],
    first_activity=T0 - 90 * DAY,
    last_activity=T0 - 12 * DAY,
    visits=7,
    spend=70.0,
    revenue=70.0,
    margin=21.0,
    cost=2.5,
    closed=False,
    profile=Profile(),
    p_closed=0.01,
    p_churn=0.505,
    expected_spend=12.0,
    clv=48.5,
)

_CAMPAIGN = Campaign(
    name="early-warning",
    version="v1",
    state="live",
    trigger=RiskOver(threshold=0.6, rearm_below=0.5),
    audience=Audience(),
    channel="sms",
    offer="ten-percent",
    control=0.0,
    cool_down_ms=0,
    valid_for_ms=HOUR,
)


def score(customer: str = "anna", risk: float = 0.5, step: int = 0, **other: object) -> Score:
    """Return a score; ``step`` numbers it in time and in the log, a minute a step."""
    place = {"at": T0 + step * MINUTE, "origin": Identity(0, step, 0)}
    return replace(_SCORE, customer=customer, risk=risk, **{**place, **other})


def raw(of: Score) -> str:
    """Return a score as it travels."""
    return msgspec.json.encode(of).decode()


def campaign(name: str = "early-warning", **other: object) -> Campaign:
    """Return a live campaign at .6, re-armed below .5, without control group and cool-down."""
    return replace(_CAMPAIGN, name=name, **other)


def risk_over(threshold: float, rearm_below: float, existing: bool = False) -> RiskOver:
    return RiskOver(threshold=threshold, rearm_below=rearm_below, include_existing=existing)


def consents(consent: Mapping[str, bool]) -> Profile:
    return Profile(consent=dict(consent))


MARKS = [mark / 20 for mark in range(21)]
CUSTOMERS = ["anna", "bela", "chris"]
CAUSES: list[Cause] = ["event", "review", "model"]
_STAGES: list[Stage] = ["growth", "decline", "lapsed"]


@st.composite
def histories(draw: st.DrawFn) -> list[Score]:
    """Generate scores of a few customers, in the order of the log, risks at and around marks."""
    near = st.tuples(st.sampled_from(MARKS), st.sampled_from([-0.01, 0.0, 0.01]))
    risks = near.map(lambda pair: min(max(sum(pair), 0.0), 1.0))
    steps = st.tuples(
        st.sampled_from(CUSTOMERS), risks, st.sampled_from(CAUSES), st.sampled_from(_STAGES)
    )
    return [
        score(customer, risk, number, cause=cause, stage=stage)
        for number, (customer, risk, cause, stage) in enumerate(draw(st.lists(steps, max_size=60)))
    ]


@st.composite
def campaigns(draw: st.DrawFn, name: str) -> Campaign:
    """Generate a campaign with any trigger, control group, cool-down and validity."""
    threshold = draw(st.integers(2, 19))
    rearm = draw(st.integers(1, threshold))
    existing = draw(st.booleans())
    return campaign(
        name,
        trigger=risk_over(threshold / 20, rearm / 20, existing),
        control=draw(st.sampled_from([0.0, 0.5, 1.0])),
        cool_down_ms=draw(st.sampled_from([0, 5 * MINUTE, DAY])),
        valid_for_ms=draw(st.sampled_from([0, 10 * MINUTE, DAY])),
    )


def campaign_sets() -> st.SearchStrategy[list[Campaign]]:
    """Generate up to three campaigns of different names."""
    names = ["early-warning", "win-back", "loyalty"]
    return st.integers(0, 3).flatmap(
        lambda count: st.tuples(*(campaigns(name) for name in names[:count])).map(list)
    )
