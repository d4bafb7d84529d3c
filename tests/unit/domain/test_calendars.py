"""What is known of plans is bounded; what goes is what was met least recently."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import calendars
from shared.domain.calendars import Plans
from shared.topics import LARGEST_MODEL_BYTES

YEAR = 366.0
CELLS, PLANS, FAMILIES = calendars._CELLS, calendars._PLANS, calendars._FAMILIES


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "_FAMILIES", 2)
    monkeypatch.setattr(calendars, "_PLANS", 3)
    monkeypatch.setattr(calendars, "_CELLS", 12)


def label(plans: Plans, plan: int, family: int, day: float, gradient: float = -1.0) -> float:
    """Learn a label of a customer on a plan; return what was said of it before."""
    plans.meet(plan, family, day - 3.0, day)
    place = plans.place(family, plans.age(plan, day, 3.0) / 7.0, 2.0, 0.3)
    said = plans.effect(place)
    plans.learn(place, gradient, 1.0)
    return said


labels = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 400), st.floats(-1, 1)),
    max_size=40,
)


@given(labels, labels)
def test_however_many_plans_come_it_is_bounded_and_goes_on_after_a_restore(
    before: list[tuple[int, int, int, float]], after: list[tuple[int, int, int, float]]
) -> None:
    plans, day = Plans(5.0), 0.0
    for plan, family, days, gradient in before:
        day += days
        label(plans, plan, family, day, gradient)
    restored = Plans(5.0)
    restored.restore(json.loads(json.dumps(plans.dump())), day)
    for plan, family, days, gradient in after:
        day += days
        assert label(plans, plan, family, day, gradient) == label(
            restored, plan, family, day, gradient
        )
    assert json.dumps(plans.dump()) == json.dumps(restored.dump())
    state = plans.dump()
    assert len(state["families"]) <= 2
    assert len(state["plans"]) <= 3
    assert len(state["cells"]) <= 12
    assert len(plans.table().effects) == len(state["families"]) + 1


def test_the_plan_that_was_met_least_recently_gives_way_after_a_year() -> None:
    plans = Plans(5.0)
    for day, plan in ((0.0, 1), (10.0, 2), (20.0, 3), (30.0, 1)):
        label(plans, plan, 1, day)
    label(plans, 4, 1, 10.0 + YEAR - 2)  # 2 was met within a year
    assert {code for code, *_ in plans.dump()["plans"]} == {1, 2, 3}
    label(plans, 4, 1, 10.0 + YEAR)
    assert {code for code, *_ in plans.dump()["plans"]} == {1, 3, 4}
    assert plans.age(4, 20.0 + YEAR, 0.0) == 13.0  # since three days before


def test_a_family_that_takes_the_place_of_another_knows_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calendars, "_CELLS", 100)
    plans, alone = Plans(5.0), Plans(5.0)
    for number in range(5):
        label(plans, 1, 1, float(number))
        label(plans, 2, 2, 100.0 + number, gradient=0.0)
    assert plans.place(3, 1.0, 2.0, 0.3).family == -1
    label(plans, 3, 3, 50.0)  # both were met within a year: it shares the general cells
    assert plans.place(3, 1.0, 2.0, 0.3).family == -1
    general = plans.effect(plans.place(9, 1.0, 2.0, 0.3))
    plans.meet(3, 3, YEAR + 7.0, YEAR + 10.0)
    place = plans.place(3, 1.0, 2.0, 0.3)
    assert place.family == 0
    assert plans.effect(place) == general != 0.0
    assert plans.place(1, 1.0, 2.0, 0.3).family == -1
    assert plans.place(2, 1.0, 2.0, 0.3).family == 1
    assert alone.effect(place) == 0.0


def test_a_snapshot_of_two_models_that_know_all_they_may_can_be_published() -> None:
    plans = Plans(5.0)
    far, long = 9_999_999_999, -0.12345678901234567
    plans.restore(
        {
            "families": [[far + n, n, 20_000.123456] for n in range(FAMILIES)],
            "plans": [[far + n, 20_000.123456, 20_000.123456] for n in range(PLANS)],
            "cells": [[far + n, long, 12_345.678901234567] for n in range(CELLS)],
        },
        day=0.0,
    )
    size = len(json.dumps(plans.dump(), separators=(",", ":")))
    assert 2 * size < LARGEST_MODEL_BYTES / 2


def test_cells_that_were_learned_least_recently_go_first() -> None:
    plans = Plans(5.0)
    for visits in (1.0, 5.0, 30.0, 150.0):  # six cells each, three of them shared by all
        plans.meet(1, 1, 0.0, 1.0)
        plans.learn(plans.place(1, 1.0, visits, 0.3), -1.0, 1.0)
    oldest, newest = (plans.effect(plans.place(1, 1.0, visits, 0.3)) for visits in (1.0, 150.0))
    assert len(plans.dump()["cells"]) == 12
    assert 0.0 < oldest < newest
