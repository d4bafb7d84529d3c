"""What is known of plans is bounded; what goes is what was met least recently."""

import json
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import calendars
from shared.domain.calendars import Cells, Place, Plans, effect
from shared.domain.features import FEATURES
from shared.domain.hazard import Steps
from shared.topics import LARGEST_MODEL_BYTES

YEAR = 366.0
CELLS, PLANS, FAMILIES = calendars._CELLS, calendars._PLANS, calendars._FAMILIES


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "_FAMILIES", 2)
    monkeypatch.setattr(calendars, "_PLANS", 3)
    monkeypatch.setattr(calendars, "_CELLS", 12)


class Calendar(NamedTuple):
    """Plans that were met, and what is known of them."""

    plans: Plans
    cells: Cells

    def place(
        self, plan: int, family: int, day: float, visits: float = 2.0, own: float = 3.0
    ) -> Place:
        """Return where a customer stands who has been on a plan for three days, unless said."""
        known = {"plan": plan, "family": family, "day": day, "visits": visits, "plan_days": own}
        facts = np.array([[known.get(name, 0.3 * 28.0) for name in FEATURES]])
        (place,) = self.plans.places(facts, Steps.of(28.0))
        assert place is not None
        return place

    def label(self, plan: int, family: int, day: float, gradient: float = -1.0) -> float:
        """Learn a label; return what was said of it before."""
        cells = self.cells.meet(self.place(plan, family, day))
        said = effect(cells)
        self.cells.learn(cells, gradient, 1.0)
        return said

    def dump(self) -> dict[str, Any]:
        return self.plans.dump() | self.cells.dump()

    def general(self) -> float:
        """Return what is said of whoever is on a plan of which nothing is known."""
        return effect(self.cells.meet(self.place(9, 9, 7.0)))


def calendar() -> Calendar:
    return Calendar(Plans(), Cells(5.0))


def restored(state: dict[str, Any], day: float) -> Calendar:
    found = calendar()
    found.plans.restore(state, day)
    found.cells.restore(state)
    return found


labels = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 400), st.floats(-1, 1)),
    max_size=40,
)


@given(labels, labels)
def test_however_many_plans_come_it_is_bounded_and_goes_on_after_a_restore(
    before: list[tuple[int, int, int, float]], after: list[tuple[int, int, int, float]]
) -> None:
    one, day = calendar(), 0.0
    for plan, family, days, gradient in before:
        day += days
        one.label(plan, family, day, gradient)
    other = restored(json.loads(json.dumps(one.dump())), day)
    for plan, family, days, gradient in after:
        day += days
        assert one.label(plan, family, day, gradient) == other.label(plan, family, day, gradient)
    assert json.dumps(one.dump()) == json.dumps(other.dump())
    state = one.dump()
    assert len(state["families"]) <= 2
    assert len(state["plans"]) <= 3
    assert len(state["cells"]) <= 12
    assert len(one.cells.table(one.plans).effects) == len(state["families"]) + 1


def test_the_plan_that_was_met_least_recently_gives_way_after_a_year() -> None:
    met = calendar()
    for day, plan in ((0.0, 1), (10.0, 2), (20.0, 3), (30.0, 1)):
        met.label(plan, 1, day)
    met.label(4, 1, 10.0 + YEAR - 2)  # 2 was met within a year
    assert {code for code, *_ in met.dump()["plans"]} == {1, 2, 3}
    met.label(4, 1, 10.0 + YEAR)
    began = {code: first for code, first, _ in met.dump()["plans"]}
    assert began == {1: -3.0, 3: 17.0, 4: 7.0 + YEAR}  # since three days before


def test_a_family_that_takes_the_place_of_another_knows_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calendars, "_CELLS", 100)
    met = calendar()
    for number in range(5):
        met.label(1, 1, float(number))
        met.label(2, 2, 100.0 + number, gradient=0.0)
    for day in (50.0, YEAR - 1.0):  # both were met within a year: it shares the general cells
        assert len(met.place(3, 3, day).keys) == 2
    taken = met.place(4, 3, YEAR + 7.0)
    assert taken.left == 0
    assert len(taken.keys) == 6
    general = met.general()
    assert effect(met.cells.meet(taken)) == general != 0.0
    assert len(met.place(1, 1, YEAR + 8.0).keys) == 2
    assert len(met.place(2, 2, YEAR + 8.0).keys) == 6


def test_whoever_was_never_active_is_no_word_on_a_plan() -> None:
    met = calendar()
    assert len(met.place(1, 1, 10.0, visits=0.0, own=0.0).keys) == 2
    assert met.dump()["plans"] == met.dump()["families"] == []


def test_a_snapshot_of_two_models_that_know_all_they_may_can_be_published() -> None:
    far, long = 9_999_999_999, -0.12345678901234567
    found = restored(
        {
            "families": [[far + n, n, 20_000.123456] for n in range(FAMILIES)],
            "plans": [[far + n, 20_000.123456, 20_000.123456] for n in range(PLANS)],
            "cells": [[far + n, long, 12_345.678901234567] for n in range(CELLS)],
        },
        day=0.0,
    )
    size = len(json.dumps(found.dump(), separators=(",", ":")))
    assert 2 * size < LARGEST_MODEL_BYTES / 2


def test_cells_that_were_learned_least_recently_go_first() -> None:
    met = calendar()
    for visits in (1.0, 5.0, 30.0, 150.0):  # six cells each, two of them shared by all
        met.cells.learn(met.cells.meet(met.place(1, 1, 1.0, visits)), -1.0, 1.0)
    known = met.dump()["cells"]
    assert len(known) == 12
    keys = {key for key, *_ in known}
    assert keys > {*met.place(1, 1, 1.0, 150.0).keys}
    assert not keys > {*met.place(1, 1, 1.0, 1.0).keys}


@given(labels)
def test_a_table_is_that_of_all_cells_whenever_the_last_one_was_made(
    found: list[tuple[int, int, int, float]],
) -> None:
    met, day = calendar(), 0.0
    for plan, family, days, gradient in found:
        day += days
        met.label(plan, family, day, gradient)
        afresh = restored(met.dump(), day)
        expected = afresh.cells.table(afresh.plans)
        assert met.cells.table(met.plans).effects.tobytes() == expected.effects.tobytes()
