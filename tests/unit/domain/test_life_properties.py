"""Whatever a customer's life was: silence ages it on time, a return is one, late is as on time."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from shared.domain.batch import Record
from shared.domain.dealings import Dealings
from shared.domain.lifecycle import STAGES, dormant_after
from shared.domain.outputs import Transition
from shared.domain.policy import DAY_MS, SLOT_MS
from tests.unit.domain.happenings import STATUSES, Happening, to_event
from tests.unit.domain.histories import (
    HOUR_MS,
    POLICY,
    T0,
    History,
    Json,
    dealings_of,
    live,
    partition,
    purchase,
    record,
    row_of,
    run,
    tick,
)

H = POLICY.horizon_ms
#: A short horizon, so that a few weeks hold many labels.
WEEKLY = replace(POLICY, horizon_ms=7 * DAY_MS, cadence_days=2)


def moves(events: list[Json]) -> list[Transition]:
    return run(partition(), live(events), range(len(events))).transitions


def mark_after(at: int) -> int:
    """Return the first quarter-hour mark at which more than ``at`` has passed."""
    return at // SLOT_MS * SLOT_MS + SLOT_MS


# -- silence


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(95, 160),
    st.integers(0, DAY_MS - 1),
    st.lists(st.integers(1, 2 * H), max_size=12),
)
def test_time_alone_takes_a_mature_customer_to_lapsed_at_the_right_times(
    every: int, days: int, time_of_day: int, looks: list[int]
) -> None:
    target = partition()
    times = [T0 + n * DAY_MS + time_of_day for n in range(0, days, every)]
    run(target, live([purchase("a", at) for at in times]))
    row, last = row_of(target, "a"), times[-1]
    assume(STAGES[row["stage"]] == "maturity")
    limit = int(dormant_after(np.array([row]), POLICY)[0])
    silence = [tick(last + each) for each in [*sorted(looks), 2 * H + DAY_MS]]

    found = run(target, live(silence, offset=len(times)), range(len(silence))).transitions
    assert found[0].before == "maturity"
    assert all(move.customer == "a" for move in found)
    path = [(move.after, move.at) for move in found if move.after not in {"growth", "decline"}]
    aged = [(stage, at) for stage, at in path if stage != "maturity"]
    assert aged == [("dormant", mark_after(last + limit)), ("lapsed", mark_after(last + H))]
    assert [move.after for move in found[-2:]] == ["dormant", "lapsed"]


# -- coming back


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(HOUR_MS, 3 * H), min_size=1, max_size=15))
def test_each_return_from_lapsing_is_won_back_once(gaps: list[int]) -> None:
    times = [T0 + sum(gaps[:n]) for n in range(len(gaps) + 1)]
    found = moves([purchase("a", at) for at in times])
    lapses = [move for move in found if move.after == "lapsed"]
    won = [move for move in found if move.after == "won_back"]
    returns = [after for before, after in pairwise(times) if mark_after(before + H) <= after]
    unnoticed = {  # back between the horizon's end and the next mark, at which it would show
        after for before, after in pairwise(times) if before + H < after < mark_after(before + H)
    }
    assert [move.at for move in won if move.at not in unnoticed] == returns
    assert [move.before for move in won] == ["lapsed"] * len(won)
    assert len(lapses) == len(won)


# -- what comes late


DELAYS = [0, HOUR_MS, 12 * HOUR_MS, DAY_MS - 1, DAY_MS]


class Life(NamedTuple):
    """A customer's events: (days since T0, kind), and how late each is told of."""

    events: list[tuple[int, str]]
    delays: list[int]


#: Few, so that a late one decides a label; many, so that late ones change places.
lives = st.sampled_from([2, 3, 12]).flatmap(
    lambda n: st.builds(
        Life,
        events=st.lists(
            st.tuples(
                st.integers(0, 20 * 24).map(HOUR_MS.__mul__),
                st.one_of(
                    st.sampled_from(["purchase", "purchase", "usage", "refund", "recharge"]),
                    st.sampled_from(
                        ["cost", "contact", "complained", "rated", "consent_given", "contract"]
                    ),
                    st.sampled_from(["activated", "closed", *STATUSES]),
                ),
            ),
            min_size=n,
            max_size=n,
        ),
        delays=st.lists(st.sampled_from(DELAYS), min_size=n, max_size=n),
    )
)


@settings(max_examples=80, deadline=None)
@given(lives, st.randoms(use_true_random=False))
def test_a_delay_of_up_to_a_day_changes_no_label_and_no_aggregate(
    life: Life, random: Random
) -> None:
    events = [
        (at, to_event(Happening(0, 0, "a", kind, n), T0 + at))
        for n, (at, kind) in enumerate(life.events)
    ]
    on_time, late = partition(WEEKLY), partition(WEEKLY)
    prompt = run(on_time, told([(at, at, event) for at, event in events]), policy=WEEKLY)
    arrivals = [
        (at, at + delay, event) for (at, event), delay in zip(events, life.delays, strict=True)
    ]
    repeated = random.choices(arrivals, k=2)  # within the window: told of again right away
    slow = run(late, told([*arrivals, *repeated]), policy=WEEKLY)

    left, right = row_of(on_time, "a"), row_of(late, "a")
    for name in (
        "events", "revenue", "margin", "cost", "first_seen", "first_at", "last_at", "visits",
        "spend", "purchases", "recent_days", "services", "plan", "family", "plan_at", "closed",
        "paused_s", "resumed_s", "signs", "complaints", "rating", "failed", "complained_d",
        "overdue_d", "ends_s", "limit",
    ):  # fmt: skip
        assert left[name] == right[name], name
    for name in ("decay7", "decay30", "decay90", "used"):
        assert abs(left[name] - right[name]) <= 1e-9, name
    assert late.table.profile(0) == on_time.table.profile(0)
    assert_same_dealings(dealings_of(late, "a"), dealings_of(on_time, "a"))
    if {"closed", "paused"} & {kind for _, kind in life.events}:
        return  # before it is heard of, snapshots are taken that nobody takes afterwards
    known_to_both = set(labels(prompt)) & set(labels(slow))
    assert {at: labels(slow)[at] for at in known_to_both} == {
        at: labels(prompt)[at] for at in known_to_both
    }
    unknown_to_one = set(labels(prompt)) ^ set(labels(slow))
    first_told = T0 + min(at for _, at, _ in arrivals)
    assert all(at <= first_told for at, _ in unknown_to_one)  # before anybody knew the customer


def assert_same_dealings(found: Dealings, expected: Dealings) -> None:
    rates = {name: (use.per_day_30, use.per_day_90) for name, use in found.services.items()}
    for name, use in expected.services.items():
        assert rates.pop(name) == pytest.approx((use.per_day_30, use.per_day_90), rel=1e-9)
    assert not rates
    assert without_rates(found) == without_rates(expected)


def without_rates(dealings: Dealings) -> Dealings:
    services = {
        name: structs.replace(use, per_day_30=0.0, per_day_90=0.0)
        for name, use in dealings.services.items()
    }
    return structs.replace(dealings, services=services)


def told(arrivals: list[tuple[int, int, Json]]) -> list[Record]:
    """Return a record an event, in the order of arrival; then time enough for every label."""
    known = sorted(arrivals, key=lambda one: one[1])
    end = T0 + 40 * DAY_MS
    records = [record(n, [tick(T0 + at), event], T0 + at) for n, (_, at, event) in enumerate(known)]
    return [*records, record(len(records), [tick(end)], end)]


def labels(history: History) -> dict[tuple[int, bool], bool]:
    """Return what became of the customer after each snapshot: of a step, and of the horizon."""
    return {(each.at, each.measured): each.silent for each in history.examples}
