"""Generated histories under every guard rail: no promise is broken, and no crossing is lost."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.budgets import Purse
from shared.domain.campaign_decisions import decide
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import UNTOUCHED, Campaign, GuardRails, draw_arm, rolled_out
from shared.domain.checks import Crossing, expected_gain
from shared.domain.conditions import consented
from shared.domain.outputs import Identity, Score
from shared.domain.quiet_hours import QuietHours, known_zone
from shared.domain.standings import Standings
from tests.campaign_builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    campaign,
    raw,
)
from tests.campaign_builders import score as score_of
from tests.campaign_lives import RAILS, Bank, files, happenings, lives

SALT = "salt"


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


def live(
    scores: Sequence[Score], campaigns: Sequence[Campaign], rails: GuardRails, lag: int
) -> Lived:
    """Process a history as it happens, each score a batch of its own, ``lag`` later."""
    lived = Lived([], [], Standings())
    known: dict[str, Score] = {}
    bank = Bank()
    for each in happenings(scores):
        batch = Batch(Lease(0, 1), 0, 0)
        at = each if isinstance(each, int) else each.at
        rules = Rules(campaigns, SALT, rails)
        purse = Purse(bank.lend)
        fold = Fold(lived.standings, batch, rules, at + lag, known.__getitem__, purse=purse)
        if isinstance(each, int):
            fold.pass_time(each)
        else:
            fold.take(each, raw(each))
            known[each.customer] = each
        bank.spent.update(batch.spent)
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
        arm = draw_arm(rule, each.customer, SALT, rails)
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


def test_who_crosses_again_while_a_decision_waits_has_one_decision() -> None:
    """At 22:00, 23:00 and 01:00 up, down and up again: in the morning there is one decision."""
    rails = GuardRails("Europe/London", QuietHours(21 * 60, 8 * 60))
    night = T0 + 14 * HOUR
    ups_and_downs = [
        score_of(risk=risk, at=at, origin=Identity(0, number, 0))
        for number, (risk, at) in enumerate(
            [(0.1, T0), (0.7, night), (0.1, night + HOUR), (0.8, night + 3 * HOUR)]
        )
    ]
    lived = live(ups_and_downs, [campaign()], rails, 0)
    assert [(each.number, each.outcome) for each in lived.decisions] == [(1, "deferred")]
    assert [(each.id, each.outcome) for each in lived.revised] == [(lived.decisions[0].id, "fired")]
    calm_by_morning = live(ups_and_downs[:3], [campaign()], rails, 0)
    assert [each.outcome for each in calm_by_morning.revised] == ["suppressed"]
    armed = calm_by_morning.standings.arming("anna", "early-warning")
    assert (armed.armed, armed.number) == (True, 2)  # the next crossing is a new one


def test_an_outage_over_the_opening_expires_what_waited() -> None:
    rails = GuardRails("Europe/London", QuietHours(21 * 60, 8 * 60))
    night = T0 + 14 * HOUR
    rise = [score_of(risk=0.1), score_of(risk=0.7, at=night, origin=Identity(0, 1, 0))]
    assert [each.outcome for each in live(rise, [campaign()], rails, 2 * HOUR).revised] == [
        "expired"
    ]
    late = live(rise, [campaign()], rails, 12 * HOUR)
    assert [each.outcome for each in late.decisions] == ["expired"]


@pytest.mark.parametrize(
    ("starts", "ends", "reason"),
    [
        (None, None, None),
        (T0, T0 + 1, None),
        (T0 + 1, None, "the campaign begins 2027-01-15 08:00+00:00"),
        (None, T0, "the campaign ended 2027-01-15 08:00+00:00"),
    ],
)
def test_crossings_count_from_the_beginning_until_the_end(
    starts: int | None, ends: int | None, reason: str | None
) -> None:
    rule = campaign(starts=starts, ends=ends)
    crossing = Crossing(rule, score_of(risk=0.7), UNTOUCHED, 0.1, T0)
    (found,) = [each for each in decide(crossing).checks if each.check == "period"]
    assert found.reason == reason


def test_who_crossed_in_time_and_waited_beyond_the_end_is_not_contacted() -> None:
    rule = campaign(ends=T0 + 5)
    crossing = Crossing(rule, score_of(at=T0 + 9, risk=0.7), UNTOUCHED, 0.1, T0, crossed_at=T0)
    assert decide(crossing).outcome == "suppressed"
