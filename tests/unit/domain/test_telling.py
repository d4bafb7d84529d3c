"""Every event shows in its customer's score: at once, or at the next quarter of an hour."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.outputs import Score
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, SLOT_MS
from shared.domain.telling import AT_ONCE, LIVE_MS, told_at_once
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    cost,
    live,
    partition,
    purchase,
    record,
    run,
    tick,
)


def known(*customers: str) -> Partition:
    """Return a partition at T0 whose customers have bought once, for 3."""
    target = partition()
    run(target, [record(0, [purchase(one, T0, 3.0) for one in customers], T0)])
    return target


def figures(scores: list[Score]) -> list[tuple[str, float, float]]:
    return [(one.customer, one.revenue, one.cost) for one in scores]


def test_a_live_event_shows_at_once_though_band_and_stage_stay() -> None:
    target = known("a")
    found = run(target, live([purchase("a", T0 + 9, 5.0), cost("a", T0 + 10, 2.0)], offset=1))
    assert [one.cause for one in found.scores] == ["event", "event"]
    assert figures(found.scores) == [("a", 8.0, 0.0), ("a", 8.0, 2.0)]


def test_a_late_event_shows_at_once_too() -> None:
    target = known("a")
    found = run(target, [record(1, [purchase("a", T0 - 30 * DAY_MS, 5.0)], T0 + HOUR_MS)])
    assert [one.customer for one in found.scores] == ["a"]


def crowd(size: int) -> list[str]:
    return [f"c{number}" for number in range(size)]


def test_a_rush_shows_at_the_next_quarter_of_an_hour() -> None:
    customers = crowd(AT_ONCE + 10)
    target = known(*customers)
    rush: list[Json] = [cost(one, T0 + 1_000, 2.0) for one in customers]
    found = run(target, [record(1, rush, T0 + 1_000)]).scores
    assert [one.customer for one in found] == customers[:AT_ONCE]
    quiet = run(target, [record(2, [tick(T0 + 60_000)], T0 + 60_000)]).scores
    assert quiet == []
    mark = T0 + SLOT_MS
    late = run(target, [record(3, [tick(mark)], mark)]).scores
    assert {one.customer for one in late if one.cost == 2.0} >= set(customers[AT_ONCE:])
    assert {one.customer for one in late}.isdisjoint(customers[:AT_ONCE])
    again = run(target, [record(4, [tick(mark + SLOT_MS)], mark + SLOT_MS)]).scores
    assert again == []


def test_a_second_has_one_rush_however_many_records_it_has() -> None:
    customers = crowd(AT_ONCE + 10)
    target = known(*customers)
    records = [
        record(1 + n, [cost(one, T0 + 1_000 + n, 2.0)], T0 + 1_000 + n)
        for n, one in enumerate(customers)
    ]
    assert len(run(target, records, cuts=range(len(records))).scores) == AT_ONCE


def test_history_shows_once_when_time_is_live_again() -> None:
    target = known("a", "b")
    now = T0 + 12 * HOUR_MS
    history: list[Json] = [cost(one, T0 + n, 2.0) for n in range(1, 6) for one in "ab"]
    assert run(target, [record(1, history, now)]).scores == []
    found = run(target, [record(2, [tick(now)], now + LIVE_MS)]).scores
    last = {one.customer: one.cost for one in found}
    assert last == {"a": 10.0, "b": 10.0}
    told = [one for one in found if one.cause == "review"]
    assert len(told) == len(found)


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=60),
    st.integers(1, 59),
)
def test_who_is_told_does_not_depend_on_how_events_are_grouped(gaps: list[int], cut: int) -> None:
    now = T0 + np.cumsum(np.array(gaps)) * 400
    now = np.repeat(now, 100)  # a second has up to some hundreds
    appended = np.full(len(now), now[-1])
    cut = min(cut * 100 + 17, len(now) - 1)
    whole, after = told_at_once(now, appended, T0, 0)
    left, carried = told_at_once(now[:cut], appended[:cut], T0, 0)
    right, end = told_at_once(now[cut:], appended[cut:], int(now[cut - 1]), carried)
    assert (np.concatenate([left, right]) == whole).all()
    assert end == after
