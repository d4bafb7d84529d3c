"""Generated histories under every guard rail: no promise is broken, and no crossing is lost."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import Audience, Campaign, Expected, GuardRails, draw_arm, rolled_out
from shared.domain.checks import consented, expected_gain
from shared.domain.outputs import Identity, Profile, Score
from shared.domain.quiet_hours import QuietHours, known_zone
from shared.domain.standings import Standings
from shared.domain.triggers import DateNears, Silent
from tests.campaign_builders import (
    CAUSES,
    CUSTOMERS,
    DAY,
    HOUR,
    MINUTE,
    T0,
    campaign,
    raw,
    risk_over,
)
from tests.campaign_builders import score as score_of

SALT = "salt"
ZONES = ["Europe/London", "America/New_York", "Asia/Kolkata", "nonsense", None]
CONSENT: list[dict[str, bool]] = [{}, {"sms": True}, {"sms": False}, {"*": False}]


class Lived(NamedTuple):
    """What came of a history: decisions as first made and as revised, and those still waiting."""

    decisions: list[Decision]
    revised: list[Decision]
    standings: Standings

    @property
    def final(self) -> list[Decision]:
        made = [each for each in self.decisions if each.outcome != "deferred"]
        return made + [each for each in self.revised if each.outcome != "deferred"]

    @property
    def enrolled(self) -> list[Decision]:
        found = [each for each in self.final if each.outcome in ("fired", "held_out")]
        return sorted(found, key=lambda each: each.at)


@st.composite
def lives(draw: st.DrawFn) -> list[Score]:
    """Generate scores of a few customers, minutes to days apart, whose profiles change."""
    at, scores = T0, []
    for number in range(draw(st.integers(0, 20))):
        at += draw(st.sampled_from([0, 10 * MINUTE, 5 * HOUR, 13 * HOUR, 3 * DAY]))
        zone, consent = draw(st.sampled_from(ZONES)), draw(st.sampled_from(CONSENT))
        ends = draw(st.sampled_from([None, at + 2 * DAY, at + 40 * DAY]))
        scores.append(
            score_of(
                draw(st.sampled_from(CUSTOMERS)),
                draw(st.sampled_from([0.1, 0.45, 0.65, 0.9])),
                at=at,
                origin=Identity(0, number, 0),
                cause=draw(st.sampled_from(CAUSES)),
                last_activity=draw(st.sampled_from([T0 - DAY, at])),
                clv=draw(st.sampled_from([0.0, 100.0])),
                profile=Profile(time_zone=zone, consent=consent, contract_end=ends),
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
)
TRIGGERS = st.sampled_from(
    [
        risk_over(0.6, 0.5),
        risk_over(0.6, 0.5, existing=True),
        Silent(for_ms=DAY),
        DateNears(date="contract_end", lead_ms=DAY),
    ]
)


@st.composite
def files(draw: st.DrawFn) -> list[Campaign]:
    return [
        campaign(
            name,
            trigger=draw(TRIGGERS),
            audience=Audience(consent=draw(st.sampled_from([None, "sms"]))),
            control=draw(st.sampled_from([0.0, 0.5])),
            cool_down_ms=draw(st.sampled_from([0, 2 * DAY])),
            valid_for_ms=draw(st.sampled_from([HOUR, DAY])),
            priority=draw(st.integers(0, 1)),
            rollout=draw(st.sampled_from([0.5, 1.0])),
            cap=draw(st.sampled_from([None, 1])),
            transactional=draw(st.booleans()),
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


def live(
    scores: Sequence[Score], campaigns: Sequence[Campaign], rails: GuardRails, lag: int
) -> Lived:
    """Process a history as it happens, each score a batch of its own, ``lag`` later."""
    lived = Lived([], [], Standings())
    known: dict[str, Score] = {}
    for each in happenings(scores):
        batch = Batch(Lease(0, 1), 0, 0)
        at = each if isinstance(each, int) else each.at
        rules = Rules(campaigns, SALT, rails)
        fold = Fold(lived.standings, batch, rules, at + lag, known.__getitem__)
        if isinstance(each, int):
            fold.pass_time(each)
        else:
            fold.take(each, raw(each))
            known[each.customer] = each
        lived.decisions.extend(batch.decisions)
        lived.revised.extend(batch.revised)
    return lived


@settings(max_examples=60, deadline=None)
@given(lives(), files(), RAILS, st.sampled_from([0, 30 * MINUTE, 2 * HOUR]))
def test_no_promise_is_broken(
    scores: list[Score], campaigns: list[Campaign], rails: GuardRails, lag: int
) -> None:
    lived = live(scores, campaigns, rails, lag)
    by_name = {each.name: each for each in campaigns}
    by_origin = {each.origin: each for each in scores}
    times: dict[str, list[int]] = defaultdict(list)
    last: dict[tuple[str, str], int] = {}
    enrolments: Counter[tuple[str, str]] = Counter()
    for each in lived.enrolled:
        rule, whose = by_name[each.campaign], (each.customer, each.campaign)
        score = by_origin[each.origin]
        earlier = times[each.customer]
        assert rails.per_day is None or sum(each.at - t < DAY for t in earlier) < rails.per_day
        assert (
            rails.per_week is None or sum(each.at - t < 7 * DAY for t in earlier) < rails.per_week
        )
        assert rails.in_all is None or len(earlier) < rails.in_all
        assert rule.cap is None or enrolments[whose] < rule.cap
        assert whose not in last or each.at - last[whose] >= rule.cool_down_ms
        own = score.profile.time_zone
        zone = own if own is not None and known_zone(own) else rails.time_zone
        if rails.quiet is not None:  # neither when it was decided, nor as long as it may leave
            for moment in range(each.at, each.expires_at + 1, HOUR):
                assert not rails.quiet.is_quiet(moment, zone)
            assert not rails.quiet.is_quiet(each.expires_at, zone)
        given_consent = score.profile.consent
        assert given_consent.get("sms") is not False
        assert given_consent.get("*") is not False
        assert rule.audience.consent is None or consented(given_consent, "sms")
        assert each.decided_at <= each.expires_at
        assert rolled_out(rule, each.customer, SALT)
        gain = expected_gain(rule, score)
        assert gain is None or gain >= 5.0
        arm = draw_arm(rule, each.customer, SALT)
        assert each.arm == arm
        assert each.outcome == ("fired" if arm == "treatment" else "held_out")
        times[each.customer].append(each.at)
        last[whose] = each.at
        enrolments[whose] += 1


@settings(max_examples=40, deadline=None)
@given(lives(), files(), RAILS)
def test_each_crossing_has_one_decision_with_one_final_outcome(
    scores: list[Score], campaigns: list[Campaign], rails: GuardRails
) -> None:
    lived = live(scores, campaigns, rails, 0)
    assert max(Counter(each.id for each in lived.decisions).values(), default=1) == 1
    assert max(Counter(each.id for each in lived.final).values(), default=1) == 1
    waited = {each.id for each in lived.decisions if each.outcome == "deferred"}
    assert waited >= {each.id for each in lived.revised}
    still = {each.id for each in lived.standings.deferred.values()}
    assert {each.id for each in lived.final} | still == {each.id for each in lived.decisions}
    assert not {each.id for each in lived.final} & still


@settings(max_examples=40, deadline=None)
@given(lives(), files(), RAILS)
def test_at_most_one_campaign_has_a_customer_at_once(
    scores: list[Score], campaigns: list[Campaign], rails: GuardRails
) -> None:
    lived = live(scores, campaigns, rails, 0)
    rival = {each.name: not each.transactional for each in campaigns}
    priority = {each.name: each.priority for each in campaigns}
    made = [each for each in lived.decisions if each.outcome in ("fired", "held_out", "deferred")]
    by_score: dict[tuple[str, int, Identity], list[Decision]] = defaultdict(list)
    for each in made:
        if rival[each.campaign]:
            by_score[each.customer, each.at, each.origin].append(each)
    assert all(len(each) == 1 for each in by_score.values())
    for each in lived.decisions:
        failed = [check.check for check in each.checks if not check.passed]
        if failed == ["arbitration"]:
            winner = next(
                one for one in made
                if (one.customer, one.at, one.origin) == (each.customer, each.at, each.origin)
            )  # fmt: skip
            assert priority[winner.campaign] >= priority[each.campaign]


def test_a_crossing_at_night_waits_for_the_morning_and_is_looked_at_again() -> None:
    """T0 is 08:00 in London; at 22:00 the risk rises, in the morning it is over .6 or not."""
    rails = GuardRails("Europe/London", QuietHours(21 * 60, 8 * 60))
    night = T0 + 14 * HOUR
    rise = [score_of(risk=0.1), score_of(risk=0.7, at=night, origin=Identity(0, 1, 0))]
    calm = score_of(risk=0.2, at=night + HOUR, origin=Identity(0, 2, 0))
    worse = score_of(risk=0.9, at=night + HOUR, origin=Identity(0, 2, 0))
    for later, outcome in ((worse, "fired"), (calm, "suppressed")):
        lived = live([*rise, later], [campaign()], rails, 0)
        (deferred,) = lived.decisions
        assert (deferred.outcome, deferred.opens_at) == ("deferred", T0 + DAY)
        (final,) = lived.revised
        assert (final.id, final.outcome) == (deferred.id, outcome)
        assert (final.at, final.crossed_at, final.risk) == (T0 + DAY, night, later.risk)
    assert [each.check for each in final.checks if not each.passed] == ["trigger"]


def test_an_outage_over_the_opening_expires_what_waited() -> None:
    rails = GuardRails("Europe/London", QuietHours(21 * 60, 8 * 60))
    night = T0 + 14 * HOUR
    rise = [score_of(risk=0.1), score_of(risk=0.7, at=night, origin=Identity(0, 1, 0))]
    assert [each.outcome for each in live(rise, [campaign()], rails, 2 * HOUR).revised] == [
        "expired"
    ]
    late = live(rise, [campaign()], rails, 12 * HOUR)
    assert [each.outcome for each in late.decisions] == ["expired"]
