"""Flows between stages: every move counts once, and a win-back belongs to its lapse."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.flows import flows
from shared.domain.outputs import Identity, Stage, Transition
from shared.domain.policy import DAY_MS
from tests.unit.domain.happenings import (
    Happening,
    elsewhere,
    histories,
    to_records,
    without_erasures,
)
from tests.unit.domain.histories import T0, live, partition, purchase, run, tick


def move(number: int, before: Stage, after: Stage, at: int = 0, lasted: int = 0) -> Transition:
    return Transition(
        customer="a", at=T0 + at * DAY_MS, origin=Identity(0, number, 0), before=before,
        after=after, reason="", lasted_ms=lasted * DAY_MS,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_flows_lead_from_prospects_to_where_customers_are(
    history: list[list[Happening]], random: Random
) -> None:
    # Moves of the erased stay in the log until it ages out, and they themselves are in no stage.
    target = partition(owner=elsewhere)
    moves = run(target, to_records(without_erasures(history))).transitions
    found = flows(random.sample([*moves, *moves], 2 * len(moves)))
    assert found == flows(moves)
    assert sum(each.moves for each in found.stages) == len(moves)
    # whoever is in a stage came into it and did not leave it; at first all are prospects
    here = dict.fromkeys(target.stages(), 0) | {"prospect": len(target.table)}
    for each in found.stages:
        here[each.stage] -= each.moves
        for stage, count in each.to.items():
            here[stage] += count
    assert here == target.stages()


def test_a_stage_shows_its_median_and_where_it_led() -> None:
    found = flows(
        [
            move(0, "growth", "decline", lasted=1),
            move(1, "growth", "maturity", lasted=5),
            move(2, "growth", "decline", lasted=30),
        ]
    )
    (growth,) = found.stages
    assert (growth.stage, growth.moves, growth.median_days) == ("growth", 3, 5.0)
    assert growth.to == {"maturity": 1, "decline": 2}
    assert list(growth.to) == ["maturity", "decline"]  # in the order of the life cycle
    assert found.win_back_reach is None


def test_a_return_wins_back_the_lapse_that_it_ended() -> None:
    visits = [purchase("a", T0), purchase("a", T0 + 60 * DAY_MS), purchase("b", T0)]
    events = sorted(visits, key=lambda each: each["time"])
    records = live([*events, tick(T0 + 150 * DAY_MS)])
    found = flows(run(partition(), records).transitions)
    assert (found.lapsed, found.won_back) == (3, 1)
    assert found.win_back_reach == 1 / 3
    assert found.median_days_to_win_back is not None
    assert abs(found.median_days_to_win_back - 32) < 0.1  # lapsed after 28 of 60 days


def test_a_return_from_a_lapse_before_that_time_is_none_of_it() -> None:
    found = flows([move(0, "lapsed", "won_back", at=50, lasted=40)])
    assert (found.lapsed, found.won_back, found.win_back_reach) == (0, 0, None)


def test_without_moves_there_is_nothing() -> None:
    found = flows([])
    assert (found.first, found.last, found.customers, found.stages) == (None, None, 0, [])
