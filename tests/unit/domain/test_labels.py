"""Label snapshots, against an oracle that goes through a customer's days one by one."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.customer import PENDING, ROW
from shared.domain.identity import hash64
from shared.domain.labels import IN_HORIZON, IN_STEP, measured_every
from shared.domain.labels import mark as mark_snapshots
from shared.domain.outputs import Example
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, MINUTE_MS, SLOT_MS, SLOTS_A_DAY, Policy
from tests.unit.domain.happenings import MODELS
from tests.unit.domain.histories import (
    HOUR_MS,
    POLICY,
    T0,
    History,
    Json,
    account,
    activation,
    live,
    partition,
    purchase,
    record,
    row_of,
    run,
    tick,
    usage,
)

HORIZON, GRACE, STEP = POLICY.horizon_ms, POLICY.grace_ms, 7 * DAY_MS
#: When the label of a snapshot is known, after it.
RIPE = HORIZON + GRACE


class Arrival(NamedTuple):
    """An event as the partition hears of it: ``now`` is the partition's time after it."""

    now: int
    customer: str
    at: int
    kind: str


class Label(NamedTuple):
    labelled_at: int
    at: int
    silent: bool
    closed: bool
    learned: bool


def marks(customer: str, start: int, end: int) -> Iterable[tuple[int, bool]]:
    """Yield a customer's daily marks in [start, end], and whether a snapshot's turn is there."""
    number = hash64(customer)
    phase, day_phase = number % 96, number // 96
    for day in range(start // DAY_MS, end // DAY_MS + 1):
        mark = day * DAY_MS + phase * 15 * MINUTE_MS
        if start <= mark <= end:
            yield mark, (day + day_phase) % POLICY.cadence_days == 0


#: With a horizon of 28 days and four places: of the turns of each cadence, which are measured.
#: 5 days: the newest two are learned from, and 0, 2, 4 or 1, 3, 5 turns ago wait for their horizon.
#: A turn a day has not even the places to learn from all.
MEASURED_EVERY = {1: 1, 5: 2, 8: 1, 14: 1, 30: 1}


STATES = {"closed", "activated"}


def oracle(arrivals: list[Arrival], cadence: int = POLICY.cadence_days) -> list[Label]:
    """Say plainly which labels a partition that heard of this must have given."""
    found = []
    for customer in sorted({arrival.customer for arrival in arrivals} - {""}):
        mine = [arrival for arrival in arrivals if arrival.customer == customer]
        number = hash64(customer)
        pending: list[int] = []
        stepped: set[int] = set()
        start = mine[0].now // SLOT_MS * SLOT_MS + SLOT_MS
        for mark, _ in marks(customer, start, arrivals[-1].now):
            for taken in sorted(set(pending) - stepped):
                if taken + STEP + GRACE <= mark:
                    found.append(label(mine, taken, mark, STEP))
                    stepped.add(taken)
                    if (taken // DAY_MS + number // 96) // cadence % MEASURED_EVERY[cadence]:
                        pending.remove(taken)
            if pending and pending[0] + RIPE <= mark:
                found.append(label(mine, pending.pop(0), mark, HORIZON))
            heard = [arrival for arrival in mine if arrival.now < mark]
            # By event time; whoever closes and opens an account at one instant has one.
            states = [(one.at, one.kind == "activated") for one in heard if one.kind in STATES]
            is_open = not states or max(states)[1]
            turn = (mark // DAY_MS + number // 96) % cadence == 0
            if turn and is_open and len(pending) < PENDING:
                pending.append(mark)
    return sorted(found)


def label(mine: list[Arrival], taken: int, labelled_at: int, window: int) -> Label:
    heard = [one for one in mine if one.now < labelled_at and taken < one.at <= taken + window]
    kinds = {one.kind for one in heard}
    # An account that was closed before the snapshot, and told of late, closes none of its days.
    return Label(labelled_at, taken, "active" not in kinds, "closed" in kinds, window == STEP)


happened = st.lists(
    st.tuples(
        st.sampled_from([0, 1, HOUR_MS, 11 * HOUR_MS, DAY_MS, 8 * DAY_MS, 27 * DAY_MS]),
        st.sampled_from([0, 0, 0, -4 * MINUTE_MS, HOUR_MS, DAY_MS, 2 * DAY_MS]),
        st.sampled_from(["ada", "bob", "cyd"]),
        st.sampled_from(["active"] * 5 + ["refund", "closed", "activated"]),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=80, deadline=None)
@given(happened, st.sampled_from(list(MEASURED_EVERY)))
def test_labels_are_those_of_the_oracle(
    happened: list[tuple[int, int, str, str]], cadence: int
) -> None:
    clock, now, records, arrivals = T0, 0, [], []
    for gap, delay, customer, kind in [*happened, (90 * DAY_MS, 0, "", "tick")]:
        clock += gap
        at = clock - delay
        now = max(now, min(at, clock))
        arrivals.append(Arrival(now, customer, at, kind))
        records.append(record(len(records), [to_event(customer, kind, at)], clock))
    policy = replace(POLICY, cadence_days=cadence)
    found = run(partition(policy), records, range(len(records)), policy=policy).examples
    assert all(one.learned is not one.measured for one in found)
    labels = [Label(one.labelled_at, one.at, one.silent, one.closed, one.learned) for one in found]
    assert sorted(labels) == oracle(arrivals, cadence)


def to_event(customer: str, kind: str, at: int) -> Json:
    makers = {
        "active": lambda: purchase(customer, at),
        "refund": lambda: purchase(customer, at, -1.0),
        "tick": lambda: tick(at),
    }
    return makers[kind]() if kind in makers else account(customer, at, kind)


# -- the boundaries, one by one


def with_snapshot(customer: str = "ada") -> tuple[Partition, int]:
    """Return a partition whose time stands at a customer's first snapshot, and that time."""
    target = partition()
    run(target, [record(0, [purchase(customer, T0)], T0)])
    taken = next(mark for mark, turn in marks(customer, T0 + SLOT_MS, T0 + 20 * DAY_MS) if turn)
    run(target, [record(1, [tick(taken)], taken)])
    assert row_of(target, customer)["snapshots"]["at"][0] == taken
    return target, taken


def label_of(target: Partition, taken: int, events: list[Json], end: int | None = None) -> Example:
    end = taken + RIPE if end is None else end
    offset = target.offset
    history = run(target, [record(offset, [*events, tick(end)], end)])
    found = [one for one in history.examples if one.at == taken]
    (measured,) = [one for one in found if one.measured]
    assert [one.learned for one in found if not one.measured] == [True]
    return measured


@pytest.mark.parametrize(
    ("after", "silent"),
    [
        (-1, True),
        (0, True),
        (1, False),
        (HORIZON // 2, False),
        (HORIZON, False),
        (HORIZON + 1, True),
        (HORIZON + GRACE - 1, True),
    ],
)
def test_the_horizon_is_open_at_its_start_and_closed_at_its_end(after: int, silent: bool) -> None:
    target, taken = with_snapshot()
    assert label_of(target, taken, [purchase("ada", taken + after)]).silent is silent


@pytest.mark.parametrize(
    ("heard", "silent"),
    [(HORIZON + 1, False), (RIPE - 1, False), (RIPE, True), (RIPE + HOUR_MS, True)],
)
def test_what_comes_late_counts_within_the_grace(heard: int, silent: bool) -> None:
    target, taken = with_snapshot()
    events = [tick(taken + heard), purchase("ada", taken + HORIZON)]
    assert label_of(target, taken, events, taken + RIPE + DAY_MS).silent is silent


def test_an_activity_ahead_of_time_is_in_the_label_of_a_snapshot_taken_meanwhile() -> None:
    target = partition()
    run(target, [record(0, [purchase("ada", T0)], T0)])
    taken = next(mark for mark, turn in marks("ada", T0 + SLOT_MS, T0 + 20 * DAY_MS) if turn)
    ahead = purchase("ada", taken + 2 * MINUTE_MS)
    run(target, [record(1, [ahead], taken - MINUTE_MS)])
    assert target.now == taken - MINUTE_MS
    assert not label_of(target, taken, []).silent


@pytest.mark.parametrize(
    "event",
    [
        usage("ada", T0, initiated_by="system"),
        purchase("ada", T0, -3.0),
        account("ada", T0, "renewed"),
        purchase("bob", T0),
    ],
)
def test_what_is_no_activity_of_the_customer_leaves_it_silent(event: Json) -> None:
    target, taken = with_snapshot()
    later = tick(taken + DAY_MS)["time"]
    assert label_of(target, taken, [{**event, "time": later}]).silent


@pytest.mark.parametrize(
    ("after", "in_step", "in_horizon"),
    [(3 * DAY_MS, True, True), (STEP, True, True), (STEP + 1, False, True), (RIPE, False, False)],
)
def test_a_closed_account_is_told_apart_by_step_and_horizon(
    after: int, in_step: bool, in_horizon: bool
) -> None:
    target, taken = with_snapshot()
    end = taken + RIPE + DAY_MS
    events = [account("ada", taken + after, "closed"), tick(end)]
    history = run(target, [record(target.offset, events, end)])
    closed = {one.learned: one.closed for one in history.examples if one.at == taken}
    assert closed == {True: in_step, False: in_horizon}


def test_an_example_says_what_the_model_saw_and_said() -> None:
    target, taken = with_snapshot()
    found = label_of(target, taken, [])
    x = np.array([found.features])
    assert found.model == 0
    assert found.predicted == target.model.scorer.predict(x)[0]
    assert found.heuristic == pytest.approx(found.predicted, abs=1e-6)
    assert found.features[0] == np.float32((taken - T0) / DAY_MS)
    assert found.recent


def test_an_example_of_a_model_keeps_its_version_and_prediction() -> None:
    target = partition()
    events = [purchase("ada", T0), activation(T0 + 1, 2)]
    run(target, [record(0, events, T0 + 1)], models=MODELS)
    taken = next(mark for mark, turn in marks("ada", T0 + SLOT_MS, T0 + 20 * DAY_MS) if turn)
    run(target, [record(1, [tick(taken), activation(taken, 3)], taken)], models=MODELS)
    found = label_of(target, taken, [])
    assert found.model == 2
    assert found.predicted == MODELS[2].scorer.predict(np.array([found.features]))[0]
    assert target.model.version == 3


@pytest.mark.parametrize(("silent_days", "recent"), [(40, True), (70, False)])
def test_recent_is_within_two_horizons(silent_days: int, recent: bool) -> None:
    target = partition()
    end = T0 + silent_days * DAY_MS + 14 * DAY_MS + RIPE
    history = run(target, [record(0, [purchase("ada", T0), tick(end)], end)])
    late = [one for one in history.examples if one.at >= T0 + silent_days * DAY_MS]
    last = next(one for one in late if one.measured)
    assert last.recent is recent
    assert (last.at - T0 <= 2 * HORIZON) is recent


# -- cadence and order


def crowd(count: int, days: int, policy: Policy = POLICY) -> tuple[Partition, History]:
    target = partition(policy)
    end = T0 + days * DAY_MS
    buyers = [purchase(f"c{n}", T0) for n in range(count)]
    active = [purchase(f"c{n % count}", T0 + n * HOUR_MS) for n in range(1, days * 24)]
    records = [record(0, buyers, T0), *(record(1 + n, [one], end) for n, one in enumerate(active))]
    return target, run(target, records, range(len(records)), policy=policy)


def test_examples_leave_in_the_order_of_their_labels_and_identities() -> None:
    _, history = crowd(40, 60)
    found = history.examples
    assert len(found) > 40
    for one, other in pairwise(found):
        assert one.labelled_at <= other.labelled_at
        assert one.origin < other.origin
    for one in found:
        assert one.labelled_at == one.at + GRACE + (STEP if one.learned else HORIZON)


def test_a_shorter_horizon_ripens_all_that_waits_oldest_first() -> None:
    patient = replace(POLICY, horizon_ms=55 * DAY_MS)
    target = partition(patient)
    end = T0 + 50 * DAY_MS
    run(target, [record(0, [purchase("ada", T0), tick(end)], end)], policy=patient)
    waiting = row_of(target, "ada")["snapshots"]["at"][:3].tolist()
    assert 0 < waiting[0] < waiting[1] < waiting[2]
    short = replace(POLICY, horizon_ms=7 * DAY_MS)
    hasty = partition(short, table=target.table, position=target.position)
    tomorrow = [record(1, [tick(end + DAY_MS)], end + DAY_MS)]
    found = run(hasty, tomorrow, policy=short).examples
    ripe = [at for at in waiting if at + 8 * DAY_MS <= end]
    assert len(ripe) >= 2
    assert [one.at for one in found if one.measured][: len(ripe)] == ripe
    assert [one.origin.ordinal for one in found] == list(range(len(found)))


def test_places_without_a_snapshot_are_left_alone() -> None:
    row = np.zeros(1, ROW)
    row["pending"] = 1
    row["snapshots"]["at"][0, 0] = DAY_MS
    mark_snapshots(row, np.array([2 * DAY_MS]), POLICY)
    assert row["snapshots"]["active"].tolist() == [[IN_HORIZON | IN_STEP, 0, 0, 0]]


def test_identities_are_unique_over_all_outputs() -> None:
    _, history = crowd(20, 45)
    outputs = [*history.scores, *history.transitions, *history.examples]
    assert len({one.origin for one in outputs}) == len(outputs)


def test_snapshots_are_spread_over_cadence_and_day() -> None:
    _, history = crowd(600, 44)
    first = [one for one in history.examples if one.at < T0 + (1 + POLICY.cadence_days) * DAY_MS]
    assert len(first) >= 600
    days = np.bincount([(one.at - T0) // DAY_MS for one in first], minlength=15)[1:14]
    assert days.min() > 600 / 14 / 2
    assert len({one.at // SLOT_MS % SLOTS_A_DAY for one in first}) > 80


def test_snapshots_that_have_no_place_are_counted() -> None:
    daily = replace(POLICY, cadence_days=1)
    target = partition(daily)
    end = T0 + 10 * DAY_MS
    run(target, [record(0, [purchase("ada", T0), tick(end)], end)], policy=daily)
    assert row_of(target, "ada")["pending"] == PENDING
    assert target.counts.snapshots_skipped == 10 - PENDING


@pytest.mark.parametrize(
    ("horizon", "cadence", "every"),
    [(28, 14, 1), (91, 28, 1), (91, 14, 2), (182, 28, 2), (182, 14, 6), (364, 28, 6)],
)
def test_every_snapshot_finds_a_place(horizon: int, cadence: int, every: int) -> None:
    """182 and 14: 14 turns wait, two are learned from, and 0, 6, 12 or 1, 7, 13 are measured."""
    policy = replace(POLICY, horizon_ms=horizon * DAY_MS, cadence_days=cadence)
    assert measured_every(policy) == every
    end = T0 + 3 * horizon * DAY_MS
    target = partition(policy)
    days = [record(day, [tick(T0 + day * DAY_MS)], T0 + day * DAY_MS)
            for day in range(1, (end - T0) // DAY_MS)]  # fmt: skip
    found = run(target, [record(0, [purchase("ada", T0)], T0), *days], policy=policy).examples
    assert target.counts.snapshots_skipped == 0
    learned = [one.at for one in found if one.learned]
    measured = [one.at for one in found if one.measured]
    assert {b - a for a, b in pairwise(learned)} == {cadence * DAY_MS}
    assert {b - a for a, b in pairwise(measured)} == {every * cadence * DAY_MS}
    assert set(measured) <= set(learned)


def test_no_label_is_taken_of_whoever_pauses() -> None:
    began, ended = T0 + 15 * DAY_MS, T0 + 75 * DAY_MS
    events = [
        purchase("a", T0),
        account("a", began, "paused"),
        account("a", ended, "activated"),
        tick(T0 + 200 * DAY_MS),
    ]
    taken = {one.at for one in run(partition(), live(events)).examples}
    assert [at for at in taken if began < at < ended] == []
    assert [at for at in taken if at < began]
    assert [at for at in taken if at > ended]


def test_what_is_measured_says_in_which_market() -> None:
    quarters = range(T0, T0 + 120 * DAY_MS, SLOT_MS)  # so that reviews fall due one at a time
    moves = {
        T0: [account("ada", T0, "activated", market="de"), usage("bob", T0)],
        T0 + 70 * DAY_MS: [account("ada", T0 + 70 * DAY_MS, "activated", market="nl")],
    }
    records = [record(n, moves.get(at, [tick(at)]), at) for n, at in enumerate(quarters)]
    one_by_one = run(partition(), records, range(len(records))).examples
    assert run(partition(), records).examples == one_by_one
    phases = {hash64(name) % SLOTS_A_DAY: name for name in ("ada", "bob")}
    measured = [each for each in one_by_one if each.measured]
    assert len({each.market for each in measured}) == 3
    for each in measured:
        of_ada = phases[each.at // SLOT_MS % SLOTS_A_DAY] == "ada"
        moved = each.labelled_at > T0 + 70 * DAY_MS
        assert each.market == (("nl" if moved else "de") if of_ada else "")
    assert {each.market for each in one_by_one if not each.measured} == {""}
