"""One event folded into one row, many rows at once."""

import numpy as np
import pytest

from shared.domain.batch import EVENT, Events
from shared.domain.customer import DEDUP_WINDOW, ROW, Rows
from shared.domain.fold import fold_events, repeated
from shared.domain.policy import DAY_MS
from tests.unit.domain.histories import POLICY, T0


def rows(count: int = 1) -> Rows:
    return np.zeros(count, ROW)


def event(identity: int, at: int = T0, **columns: object) -> Events:
    found = np.zeros(1, EVENT)
    found["identity"], found["at"] = identity, at
    for name, value in columns.items():
        found[name] = value
    return found


def test_an_event_is_remembered_until_sixteen_others_came() -> None:
    row = rows()
    for identity in range(1, DEDUP_WINDOW + 2):
        assert not repeated(row, event(identity))[0]
        fold_events(row, event(identity), POLICY)
    remembered = [repeated(row, event(identity))[0] for identity in range(1, DEDUP_WINDOW + 2)]
    assert remembered == [False] + [True] * DEDUP_WINDOW


def test_rows_do_not_mix() -> None:
    three = rows(3)
    fold_events(three, np.concatenate([event(1), event(2), event(3)]), POLICY)
    assert repeated(three, np.concatenate([event(2), event(2), event(2)])).tolist() == [
        False,
        True,
        False,
    ]


def test_money_and_counts_add_up() -> None:
    row = rows()
    fold_events(row, event(1, amount=5, margin=2, active=True), POLICY)
    fold_events(row, event(2, amount=-3, margin=-1), POLICY)
    fold_events(row, event(3, cost=7), POLICY)
    assert [row[name][0] for name in ("events", "revenue", "margin", "cost")] == [3, 2, 1, 7]
    assert (row["spend"][0], row["visits"][0]) == (5, 1)


def test_purchases_are_counted_one_by_one() -> None:
    row = rows()
    for n, bought in enumerate([True, True, False]):  # of one day: one visit
        fold_events(row, event(n + 1, T0 + n, active=True, bought=bought), POLICY)
    assert (row["purchases"][0], row["visits"][0]) == (2, 1)


def test_what_is_no_activity_is_not_folded_as_one() -> None:
    both = rows(2)
    fold_events(both, np.concatenate([event(1, active=True), event(2)]), POLICY)
    assert both["first_at"].tolist() == [T0, 0]
    assert both["visits"].tolist() == [1, 0]
    assert both["events"].tolist() == [1, 1]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_first_seen_is_the_earliest_whatever_the_order(order: tuple[int, ...]) -> None:
    row = rows()
    for n in order:
        fold_events(row, event(n + 1, T0 + n * DAY_MS), POLICY)
    assert row["first_seen"][0] == T0
