"""The past once more: unchanged rules decide as they did, others as they would have."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.campaign_decisions import expired
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Decision
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import Campaign, GuardRails
from shared.domain.outputs import Clock, Score
from shared.domain.quiet_hours import QuietHours
from shared.domain.simulation import Made, Told, simulate
from shared.domain.simulation_report import compare
from shared.domain.standings import Enrolment, Standings
from tests.campaign_builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    campaign,
    campaign_sets,
    histories,
    raw,
    risk_over,
    score,
)

FOREVER = (0, T0 + 1_000 * DAY)
SALT = "salt"


def live(scores: Sequence[Score | Clock], rules: Rules, lag: int = 0) -> list[Made]:
    """Return what a campaigner decides that is so late, a score a transaction."""
    standings, final, last = Standings(), dict[str, Decision](), dict[str, Score]()
    for each in scores:
        batch = Batch(Lease(0, 1), 0, 1)
        fold = Fold(standings, batch, rules, each.at + lag, last.__getitem__)
        if isinstance(each, Score):
            fold.take(each, raw(each))
            last[each.customer] = each
        else:
            fold.pass_time(each.at)
        final |= {one.id: one for one in (*batch.decisions, *batch.revised)}
    return [Made(each, each.decided_at) for each in final.values()]


def told(scores: Sequence[Score | Clock], lag: int = 0) -> list[Told]:
    return [Told(each.at + lag, each) for each in scores]


def outcomes(decisions: Sequence[Decision]) -> dict[str, tuple[str, int, str | None]]:
    return {each.id: (each.outcome, each.at, each.arm) for each in decisions}


def zigzag(customer: str, *risks: float) -> list[Score]:
    return [score(customer, risk, step) for step, risk in enumerate(risks)]


@given(histories(), campaign_sets(), st.integers(0, 60), st.sampled_from([0, 5 * MINUTE, HOUR]))
def test_unchanged_rules_decide_as_they_did(
    scores: list[Score], campaigns: list[Campaign], start: int, lag: int
) -> None:
    rules = Rules(campaigns, SALT)
    made, since = live(scores, rules, lag), T0 + start * MINUTE
    found = simulate(told(scores), made, rules, (since, FOREVER[1]))
    assert outcomes(found) == outcomes([each for each, _ in made if each.at >= since])


def test_a_lower_threshold_contacts_who_was_not() -> None:
    scores = zigzag("anna", 0.1, 0.55, 0.1, 0.7)
    made = live(scores, Rules([campaign(cost_per_contact=2.0)], SALT))
    tried = [campaign(cost_per_contact=2.0, trigger=risk_over(0.5, 0.4))]
    found = simulate(told(scores), made, Rules(tried, SALT), FOREVER)
    assert [each.at for each in found] == [T0 + MINUTE, T0 + 3 * MINUTE]
    same, (difference,) = compare(
        [each for each, _ in made], found, {each.name: each for each in tried}
    )
    assert not same
    assert (difference.cost_happened, difference.cost_simulated) == (2.0, 4.0)
    assert [each.at for each in difference.contacted] == [T0 + MINUTE, T0 + 3 * MINUTE]
    # The arming that the later crossing would have used is another than the one that it did use.
    assert [each.at for each in difference.gained] == [T0 + 3 * MINUTE]


def test_what_an_outage_made_late_stays_late() -> None:
    scores = zigzag("anna", 0.1, 0.7)
    rules = Rules([campaign()], SALT)
    made = live(scores, rules, lag=2 * HOUR)
    assert [each.outcome for each, _ in made] == ["expired"]
    found = simulate(told(scores), made, rules, FOREVER)
    assert outcomes(found) == outcomes([each for each, _ in made])


def test_what_expired_before_it_left_uses_nothing_up() -> None:
    """The trigger of the first crossing never left, so that the second one is not too soon."""
    scores = zigzag("anna", 0.1, 0.7, 0.1, 0.8)
    rules = Rules([campaign(cool_down_ms=DAY)], SALT)
    standings, final = Standings(), dict[str, Decision]()
    for each in scores:
        batch = Batch(Lease(0, 1), 0, 1)
        fold = Fold(standings, batch, rules, each.at)
        fold.take(each, raw(each))
        final |= {one.id: one for one in batch.decisions}
        for one in batch.decisions[:1] if len(final) == 1 else ():
            final[one.id] = expired(one)
            fold.release(Enrolment.of(one))
    made = [Made(each, each.decided_at) for each in final.values()]
    assert [each.outcome for each, _ in made] == ["expired", "fired"]
    assert outcomes(simulate(told(scores), made, rules, FOREVER)) == outcomes(list(final.values()))


def test_a_decision_that_waited_at_the_beginning_is_made_again() -> None:
    quiet = GuardRails(quiet=QuietHours(0, 23 * 60))  # T0 is 08:00 UTC
    scores: list[Score | Clock] = [*zigzag("anna", 0.1, 0.7), Clock(0, T0 + 15 * HOUR)]
    rules = Rules([campaign(valid_for_ms=DAY)], SALT, quiet)
    made = live(scores, rules)
    assert [each.outcome for each, _ in made] == ["fired"]
    since = T0 + 10 * HOUR
    assert made[0].decision.at == T0 + 15 * HOUR
    found = simulate(told(scores), made, rules, (since, FOREVER[1]))
    assert outcomes(found) == outcomes([made[0].decision])
    paused = Rules([campaign(valid_for_ms=DAY, state="paused")], SALT, quiet)
    (other,) = simulate(told(scores), made, paused, (since, FOREVER[1]))
    assert other.outcome == "suppressed"


def test_nothing_outside_of_the_period_is_told() -> None:
    scores = zigzag("anna", 0.1, 0.7, 0.1, 0.7, 0.1, 0.7)
    rules = Rules([campaign()], SALT)
    made = live(scores, rules)
    found = simulate(told(scores), made, rules, (T0 + 2 * MINUTE, T0 + 5 * MINUTE))
    assert [(each.at, each.number) for each in found] == [(T0 + 3 * MINUTE, 2)]


def test_decisions_from_before_the_history_count_and_customers_are_armed_anew_since() -> None:
    scores = zigzag("anna", 0.1, 0.7, 0.1, 0.7, 0.1, 0.7)
    rules = Rules([campaign()], SALT)
    made = live(scores, rules)
    found = simulate(told(scores)[2:], made, rules, (T0 + 3 * MINUTE, FOREVER[1]))
    assert outcomes(found) == outcomes([each for each, _ in made][1:])
    assert [each.number for each in found] == [2, 3]
    last = simulate(told(scores)[4:], made, rules, (T0 + 5 * MINUTE, FOREVER[1]))
    assert [each.number for each in last] == [3]


def test_a_pause_that_people_ordered_is_on_record_and_a_draft_is_what_is_tried() -> None:
    scores = zigzag("anna", 0.1, 0.7)
    shadow = Rules([campaign(state="shadow")], SALT)
    made = live(scores, shadow)
    assert [each.outcome for each, _ in made] == ["suppressed"]
    found = simulate(told(scores), made, Rules([campaign()], SALT), FOREVER)
    assert [each.outcome for each in found] == ["fired"]
    stopped = replace(
        made[0].decision,
        checks=[
            replace(each, passed=False, reason="the campaign is paused by eve")
            if each.check == "state"
            else each
            for each in made[0].decision.checks
        ],
    )
    again = simulate(told(scores), [Made(stopped, T0)], Rules([campaign()], SALT), FOREVER)
    assert [each.outcome for each in again] == ["suppressed"]
