"""The wheel finds whom to look at again: no one too early, no one twice, no one never."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.customer import CustomerTable
from shared.domain.policy import DAY_MS, SLOT_MS, SLOTS_A_DAY
from shared.domain.wheel import Wheel, next_review, phase
from tests.unit.domain.histories import HOUR_MS, POLICY, T0


def table_of(count: int) -> CustomerTable:
    table = CustomerTable()
    table.add([str(n) for n in range(count)])
    return table


moves = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50)), max_size=30)


@settings(max_examples=150)
@given(moves, st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_the_due_are_taken_once_each_and_at_their_last_slot(
    entered: list[tuple[int, int]], looks: list[int]
) -> None:
    table, wheel = table_of(10), Wheel()
    waiting: dict[int, int] = {}
    for index, slot in entered:
        table.rows["review"][index] = waiting[index] = slot
        wheel.add(np.array([index]), np.array([slot], np.int32))
    for look in sorted(looks):
        due = sorted(index for index, slot in waiting.items() if slot <= look)
        assert wheel.due(look) or not due
        assert wheel.take(look, table).tolist() == due
        for index in due:
            del waiting[index]
            table.rows["review"][index] = 1_000
    assert not wheel.due(min([slot for _, slot in entered], default=1) - 1)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_a_restored_wheel_holds_everyone(slots: list[int]) -> None:
    table = table_of(len(slots))
    table.rows["review"][: len(slots)] = slots
    wheel = Wheel.of(table)
    assert wheel.due(min(slots))
    assert not wheel.due(min(slots) - 1)
    assert wheel.take(max(slots), table).tolist() == list(range(len(slots)))


def test_nobody_is_due_in_an_empty_wheel() -> None:
    wheel = Wheel.of(CustomerTable())
    assert not wheel.due(2**31)
    assert wheel.take(2**31 - 1, CustomerTable()).tolist() == []


@settings(max_examples=50)
@given(st.integers(0, 3 * DAY_MS))
def test_reviews_are_daily_on_a_mark_of_the_customers_own(since: int) -> None:
    rows = table_of(200).rows[:200]
    now = np.full(200, T0 + since)
    review = next_review(rows, now, POLICY).astype(np.int64)
    assert (review * SLOT_MS > now // SLOT_MS * SLOT_MS).all()
    assert (review - now // SLOT_MS <= SLOTS_A_DAY).all()
    assert (review % SLOTS_A_DAY == rows["hash"] % SLOTS_A_DAY).all()


def test_marks_are_spread_over_the_day() -> None:
    counts = np.bincount(phase(table_of(9_600).rows[:9_600]), minlength=SLOTS_A_DAY)
    assert len(counts) == SLOTS_A_DAY
    assert counts.min() > 50


def test_a_stage_that_may_end_before_the_daily_mark_brings_the_review_forward() -> None:
    rows = table_of(1).rows[:1]
    rows["hash"] = 0  # reviewed at midnight
    rows["visits"] = 1
    rows["first_at"] = rows["last_at"] = T0 + 2 * HOUR_MS
    lapses = T0 + 2 * HOUR_MS + POLICY.horizon_ms + 1
    review = next_review(rows, np.array([lapses - HOUR_MS]), POLICY)
    assert review.tolist() == [lapses // SLOT_MS + 1]
    review = next_review(rows, np.array([lapses]), POLICY)
    assert review.tolist() == [(T0 + POLICY.horizon_ms + DAY_MS) // SLOT_MS]
