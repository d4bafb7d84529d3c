"""Units: who is one, and what is measured of it within its window, alike in both arms."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.campaign_fold import Fold
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import Campaign
from shared.domain.dealings import Dealings, Touch
from shared.domain.outputs import Score
from shared.domain.standings import Enrolment, Standings
from shared.domain.units import Achieved
from tests.campaign_builders import DAY, MINUTE, T0, campaign, consents, histories, raw, score

WINDOW = 28 * DAY
RULE = campaign(valid_for_ms=90 * DAY, window_ms=WINDOW, cost_per_contact=0.5)
ANNA = "anna", RULE.name


def fold(
    scores: Sequence[Score],
    rule: Campaign = RULE,
    standings: Standings | None = None,
    clock: int | None = None,
) -> Batch:
    batch = Batch(Lease(0, 1), 0, len(scores))
    folded = Fold(
        standings if standings is not None else Standings(), batch, Rules([rule], "s"), T0
    )
    for each in scores:
        folded.take(each, raw(each))
    if clock is not None:
        folded.pass_time(clock)
    return batch


def at(when: int, risk: float = 0.7, **other: object) -> Score:
    """Return a score of anna's, that is some milliseconds after the enrolment."""
    step = 2 + max(when, 0)
    return score(risk=risk, step=step, at=ENROLLED + when, **other)


RISE = [score(risk=0.1), score(risk=0.7, step=1, revenue=100.0, margin=30.0, cost=0.0)]
ENROLLED = RISE[1].at


def test_the_first_enrolment_makes_a_unit_with_what_there_was_before() -> None:
    unit = fold(RISE).units[ANNA]
    assert (unit.at, unit.ends_at) == (ENROLLED, ENROLLED + WINDOW)
    assert (unit.revenue, unit.margin, unit.last_activity) == (100.0, 30.0, RISE[1].last_activity)
    assert (unit.arm, unit.control_share, unit.cost) == ("treatment", 0.0, 0.5)


def test_a_held_out_customer_is_a_unit_that_costs_nothing() -> None:
    unit = fold(RISE, campaign(control=1.0, cost_per_contact=0.5)).units[ANNA]
    assert (unit.arm, unit.control_share, unit.cost) == ("control", 1.0, 0.0)


def test_who_was_not_enrolled_is_no_unit() -> None:
    assert fold(RISE, campaign(state="paused")).units == {}
    assert fold(RISE, campaign(valid_for_ms=0), clock=None).units != {}  # it does not depend on it


def test_later_enrolments_make_no_further_units() -> None:
    again = [at(DAY, 0.1), at(2 * DAY, 0.7)]
    batch = fold([*RISE, *again])
    assert [each.outcome for each in batch.decisions] == ["fired", "fired"]
    assert [each.at for each in batch.units.values()] == [ENROLLED]


@pytest.mark.parametrize("control", [0.0, 1.0])
@pytest.mark.parametrize(("when", "retained"), [(1, True), (WINDOW, True), (WINDOW + 1, False)])
def test_activity_counts_within_the_window_in_either_arm(
    control: float, when: int, retained: bool
) -> None:
    rule = campaign(valid_for_ms=90 * DAY, control=control)
    active = at(when, last_activity=ENROLLED + when, revenue=140.0, margin=42.0)
    batch = fold([*RISE, active], rule, clock=ENROLLED + WINDOW + 2)
    gained = (40.0, 12.0) if retained else (0.0, 0.0)
    assert batch.outcomes == {ANNA: Achieved(retained, *map(pytest.approx, gained))}


def test_silence_is_no_retention_and_time_alone_ends_the_window() -> None:
    standings = Standings()
    fold(RISE, standings=standings)
    assert fold([], standings=standings, clock=ENROLLED + WINDOW).outcomes == {}
    ended = fold([], standings=standings, clock=ENROLLED + WINDOW + 1)
    assert ended.outcomes == {ANNA: Achieved(False, 0.0, 0.0)}
    assert fold([], standings=standings, clock=ENROLLED + 2 * WINDOW).outcomes == {}


def test_what_is_heard_of_late_but_was_before_does_not_count() -> None:
    late = at(DAY, last_activity=ENROLLED - 1)
    assert fold([*RISE, late], clock=ENROLLED + 2 * WINDOW).outcomes[ANNA].retained is False


def test_who_bought_and_then_closed_the_account_is_not_retained() -> None:
    bought = at(DAY, last_activity=ENROLLED + DAY, revenue=140.0)
    closed = at(2 * DAY, last_activity=ENROLLED + DAY, revenue=140.0, closed=True)
    found = fold([*RISE, bought, closed], clock=ENROLLED + 2 * WINDOW).outcomes[ANNA]
    assert (found.retained, found.revenue) == (False, 40.0)


def test_an_enrolment_that_came_to_nothing_is_no_unit_and_the_next_one_is() -> None:
    standings = Standings()
    fold(RISE, standings=standings)
    batch = Batch(Lease(0, 1), 2, 2)
    release = Enrolment(*ANNA, ENROLLED)
    Fold(standings, batch, Rules([RULE], "s"), T0).release(release)
    assert batch.released == [release]
    assert standings.units == {}
    again = fold([at(DAY, 0.1), at(2 * DAY)], standings=standings, clock=ENROLLED + WINDOW + 1)
    assert [each.at for each in again.units.values()] == [ENROLLED + 2 * DAY]
    assert again.outcomes == {}


@given(histories(), st.integers(0, 60), st.integers(0, 20), st.sampled_from([0.0, 0.5, 1.0]))
def test_batches_and_restarts_change_nothing(
    scores: list[Score], cut: int, minutes: int, control: float
) -> None:
    """Standings that are read back hold what a dictionary of units tells, and nothing else."""
    rule = campaign(window_ms=1 + minutes * MINUTE, control=control, valid_for_ms=90 * DAY)
    whole, parts = Standings(), Standings()
    together = fold(scores, rule, whole)
    one = fold(scores[:cut], rule, parts)
    restarted = Standings(
        parts.seen, parts.armings, parts.units, parts.enrolments, booked=parts.booked
    )
    other = fold(scores[cut:], rule, restarted)
    assert together.units == {**one.units, **other.units}
    assert together.outcomes == {**one.outcomes, **other.outcomes}
    assert whole == restarted
    enrolled = {
        (each.customer, each.campaign)
        for each in together.decisions
        if each.outcome in ("fired", "held_out")
    }
    assert set(together.units) == enrolled
    assert set(together.outcomes) | set(whole.units) == enrolled


@pytest.mark.parametrize("control", [0.0, 1.0])
@pytest.mark.parametrize(
    ("consent", "when", "opted_out"),
    [
        ({"sms": False}, DAY, True),
        ({"*": False}, WINDOW, True),
        ({"sms": False}, WINDOW + 1, False),
        ({"email": False, "sms": True}, DAY, False),
    ],
)
def test_who_withdraws_consent_for_the_channel_within_the_window_opted_out(
    control: float, consent: dict[str, bool], when: int, opted_out: bool
) -> None:
    rule = campaign(valid_for_ms=90 * DAY, control=control)
    withdrawal = at(when, profile=consents(consent))
    batch = fold([*RISE, withdrawal], rule, clock=ENROLLED + WINDOW + 2)
    assert batch.outcomes[ANNA].opted_out is opted_out


@pytest.mark.parametrize("control", [0.0, 1.0])
@pytest.mark.parametrize(
    ("then", "when", "told"),
    [
        (Dealings(accepted=2, complaints=3), DAY, (False, False, None)),  # all of it before
        (Dealings(accepted=3, complaints=3), DAY, (True, False, None)),
        (Dealings(accepted=2, complaints=4), WINDOW, (False, True, None)),
        (Dealings(accepted=3, complaints=4), WINDOW + 1, (False, False, None)),
        (
            Dealings(accepted=2, complaints=3, rating=8.0, last_contact=Touch(T0, "x", "rated")),
            DAY,
            (False, False, None),
        ),
        (
            Dealings(
                accepted=2, complaints=3, rating=8.0,
                last_contact=Touch(RISE[1].at + 1, "x", "rated"),
            ),
            DAY,
            (False, False, 8.0),
        ),
    ],
)  # fmt: skip
def test_answers_count_within_the_window_in_either_arm(
    control: float, then: Dealings, when: int, told: tuple[bool, bool, float | None]
) -> None:
    rule = campaign(valid_for_ms=90 * DAY, control=control)
    known = Dealings(accepted=2, complaints=3)
    before = [replace(each, dealings=known) for each in RISE]
    answer = at(when, dealings=then)
    found = fold([*before, answer], rule, clock=ENROLLED + WINDOW + 2).outcomes[ANNA]
    assert (found.accepted, found.complained, found.rating) == told


def test_lifetime_value_is_what_was_added_to_it() -> None:
    batch = fold([*RISE, at(DAY, clv=60.0)], clock=ENROLLED + WINDOW + 2)
    assert batch.outcomes[ANNA].clv == pytest.approx(60.0 - RISE[1].clv)


@pytest.mark.parametrize("control", [0.0, 1.0])
def test_an_acceptance_costs_in_the_arm_that_was_contacted(control: float) -> None:
    rule = campaign(control=control, cost_per_acceptance=4.0)
    assert fold(RISE, rule).units[ANNA].acceptance_cost == (0.0 if control else 4.0)
