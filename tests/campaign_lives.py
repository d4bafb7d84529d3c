"""Generated lives of customers under generated campaigns and guard rails."""

from collections import Counter
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from shared.domain.budgets import Budget, Due
from shared.domain.campaigns import Audience, Campaign, Expected, GuardRails
from shared.domain.dealings import Dealings
from shared.domain.offers import Offer, Offers
from shared.domain.outputs import Identity, Profile, Score
from shared.domain.quiet_hours import QuietHours
from shared.domain.triggers import Anniversary, DateNears, Falls, Happened, Rises, Silent
from tests.campaign_builders import (
    CAUSES,
    CUSTOMERS,
    DAY,
    HOUR,
    MINUTE,
    T0,
    campaign,
    risk_over,
)
from tests.campaign_builders import score as score_of

ZONES = ["Europe/London", "America/New_York", "Asia/Kolkata", "nonsense", None]
#: Anniversaries are within the first days of a life.
YEAR_AGO = T0 - 365 * DAY + DAY
CONSENT: list[dict[str, bool]] = [{}, {"sms": True}, {"sms": False}, {"*": False}]


class Bank:
    """Lends one partition all that there is; fakes the database of a deployment of one."""

    def __init__(self) -> None:
        self.spent: Counter[tuple[str, str]] = Counter()

    def lend(self, due: Due, needed: int) -> int:
        del needed
        return due.allowance.most - self.spent[due.charge.scope, due.charge.period]


@st.composite
def lives(draw: st.DrawFn) -> list[Score]:
    """Generate scores of a few customers, minutes to days apart, whose profiles change."""
    at, scores, complaints = T0, [], Counter[str]()
    for number in range(draw(st.integers(0, 20))):
        at += draw(st.sampled_from([0, 10 * MINUTE, HOUR, 5 * HOUR, 13 * HOUR, 3 * DAY]))
        zone, consent = draw(st.sampled_from(ZONES)), draw(st.sampled_from(CONSENT))
        ends = draw(st.sampled_from([None, at + 2 * DAY, at + 40 * DAY]))
        who = draw(st.sampled_from(CUSTOMERS))
        complaints[who] += draw(st.sampled_from([0, 0, 1]))
        scores.append(
            score_of(
                who,
                draw(st.sampled_from([0.1, 0.45, 0.65, 0.9])),
                at=at,
                origin=Identity(0, number, 0),
                cause=draw(st.sampled_from(CAUSES)),
                last_activity=draw(st.sampled_from([T0 - DAY, at])),
                clv=draw(st.sampled_from([0.0, 100.0])),
                first_activity=YEAR_AGO + (2 * DAY if who == CUSTOMERS[0] else 0),
                profile=Profile(
                    time_zone=zone,
                    consent=consent,
                    contract_end=ends,
                    balance=draw(st.sampled_from([None, 1.0, 9.0])),
                    plan=draw(st.sampled_from([None, "gold"])),
                ),
                dealings=Dealings(
                    complaints=complaints[who], accepted=draw(st.sampled_from([0, 0, number]))
                ),
            )
        )
    return scores


RAILS = st.builds(
    GuardRails,
    time_zone=st.sampled_from(["UTC", "Australia/Lord_Howe"]),
    quiet=st.sampled_from([None, QuietHours(21 * 60, 8 * 60), QuietHours(12 * 60, 14 * 60)]),
    per_day=st.sampled_from([None, 1, 2]),
    per_week=st.sampled_from([None, 1, 3]),
    in_all=st.sampled_from([None, 2]),
    budget=st.sampled_from([None, Budget(day=1), Budget(day=2, month=3)]),
    rates=st.sampled_from([{}, {"sms": 1}]),
    control=st.sampled_from([0.0, 0.5]),
    window_ms=st.just(2 * DAY),
)
TRIGGERS = st.sampled_from(
    [
        risk_over(0.6, 0.5),
        risk_over(0.6, 0.5, existing=True),
        Silent(for_ms=DAY),
        DateNears(date="contract_end", lead_ms=DAY),
        Happened(event="complaint"),
        Happened(event="complaint", include_existing=True),
        Anniversary(),
        Falls(level="balance", threshold=2.0, rearm_from=5.0),
        Rises(level="balance", threshold=9.0, rearm_below=2.0),
    ]
)
SEVERAL = Offers((Offer("a"), Offer("b", 1.0), Offer("c")), explore=0.5, by="plan")


@st.composite
def files(draw: st.DrawFn) -> list[Campaign]:
    return [
        campaign(
            name,
            trigger=draw(TRIGGERS),
            offers=draw(st.sampled_from([None, SEVERAL])),
            own_topic=draw(st.booleans()),
            approval=draw(st.sampled_from([False, False, True])),
            window_ms=draw(st.sampled_from([DAY, 28 * DAY])),
            starts=draw(st.sampled_from([None, T0 + DAY])),
            ends=draw(st.sampled_from([None, T0 + 30 * DAY])),
            audience=Audience(consent=draw(st.sampled_from([None, "sms"]))),
            control=draw(st.sampled_from([0.0, 0.5])),
            cool_down_ms=draw(st.sampled_from([0, 2 * DAY])),
            valid_for_ms=draw(st.sampled_from([HOUR, DAY])),
            priority=draw(st.integers(0, 1)),
            rollout=draw(st.sampled_from([0.5, 1.0])),
            cap=draw(st.sampled_from([None, 1])),
            transactional=draw(st.booleans()),
            cost_per_contact=draw(st.sampled_from([0.0, 0.3, 1.0])),
            budget=draw(st.sampled_from([None, Budget(in_all=2), Budget(day=0.3)])),
            expected=draw(st.sampled_from([None, Expected(0.1, minimum_gain=5.0)])),
        )
        for name in ("early-warning", "win-back", "renewal")
    ]


def happenings(scores: Sequence[Score]) -> Iterator[Score | int]:
    """Yield scores, and the time at every full hour of the day after each."""
    for number, each in enumerate(scores):
        yield each
        later = scores[number + 1].at if number + 1 < len(scores) else each.at + 3 * DAY
        yield from range(each.at // HOUR * HOUR + HOUR, min(later, each.at + 26 * HOUR), HOUR)
    if scores:
        yield scores[-1].at + 3 * DAY
