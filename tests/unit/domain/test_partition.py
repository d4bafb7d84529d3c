"""The same log gives the same states and outputs, however it is cut, stopped or repeated."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.batch import Record
from shared.domain.features import DAY_MS
from tests.unit.domain.happenings import (
    MODELS,
    Happening,
    elsewhere,
    happenings,
    histories,
    to_event,
    to_records,
)
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    activation,
    balanced,
    contact,
    cost,
    partition,
    purchase,
    record,
    restored,
    row_of,
    run,
    served,
    states,
    tick,
)


@settings(max_examples=60, deadline=None)
@given(histories, st.sets(st.integers(1, 12)))
def test_any_grouping_gives_the_same_bits_and_identities(
    history: list[list[Happening]], cuts: set[int]
) -> None:
    records = to_records(history)
    one_by_one, grouped = partition(owner=elsewhere), partition(owner=elsewhere)
    left = run(one_by_one, records, range(len(records)), MODELS)
    right = run(grouped, records, cuts, MODELS)
    assert states(one_by_one) == states(grouped)
    assert left.outputs() == right.outputs()
    assert one_by_one.position == grouped.position
    assert balanced(grouped.counts)


@settings(max_examples=40, deadline=None)
@given(st.lists(happenings, min_size=1, max_size=30), st.lists(st.integers(1, 6), max_size=40))
def test_records_of_other_sizes_give_the_same_rows(
    happened: list[Happening], sizes: list[int]
) -> None:
    clock, events = T0, []
    for one in happened:
        clock += one.gap
        events.append(to_event(one, clock - max(one.delay, 0)))
    appended = clock + HOUR_MS
    whole, pieces = partition(), partition()
    run(whole, [record(0, events, appended)], models=MODELS)
    run(pieces, rechunked(events, sizes, appended), models=MODELS)
    assert states(whole) == states(pieces)
    assert whole.now == pieces.now
    assert whole.counts == pieces.counts


def rechunked(events: list[Json], sizes: list[int], appended: int) -> list[Record]:
    records, start = [], 0
    for size in [*sizes, len(events)]:
        records.append(record(len(records), events[start : start + size], appended))
        start += size
    return records


@settings(max_examples=100, deadline=None)
@given(histories, st.integers(0, 12), st.randoms(use_true_random=False))
def test_going_on_after_a_restore_equals_never_having_stopped(
    history: list[list[Happening]], stop: int, random: Random
) -> None:
    records = to_records(history)
    stop = min(stop, len(records) - 1)
    never, first = partition(owner=elsewhere), partition(owner=elsewhere)
    all_of_it = run(never, records, [stop], MODELS)
    before = run(first, records[:stop], models=MODELS)
    assert before.changelog == states(first)
    keys = list(before.changelog)
    random.shuffle(keys)
    again = partition(
        owner=elsewhere,
        table=restored(before.changelog, keys),
        position=first.position,
        model=first.model,
        erased={one.name for one in before.erasures},
    )
    after = run(again, records[stop:], models=MODELS)
    assert states(again) == states(never)
    assert again.position == never.position
    joined = [one + two for one, two in zip(before.outputs(), after.outputs(), strict=True)]
    assert joined == list(all_of_it.outputs())


def test_a_table_that_is_empty_is_used_all_the_same() -> None:
    table = restored({}, [])
    run(partition(table=table), [record(0, [purchase("a", T0)], T0)])
    assert "a" in table


def test_a_repeat_within_the_window_counts_once() -> None:
    others = [purchase("a", T0 + n, 1.0) for n in range(15)]
    target = partition()
    run(target, [record(0, [purchase("a", T0, 5.0, "same"), *others], T0 + HOUR_MS)])
    run(target, [record(1, [purchase("a", T0, 5.0, "same")], T0 + HOUR_MS)])
    row = row_of(target, "a")
    assert (row["events"], row["revenue"]) == (16, 20_000_000)
    assert (target.counts.applied, target.counts.duplicates) == (16, 1)


def test_the_same_id_from_another_source_is_another_event() -> None:
    target = partition()
    events = [purchase("a", T0, 5.0, "1"), {**purchase("a", T0, 5.0, "1"), "source": "other"}]
    run(target, [record(0, events, T0)])
    assert target.counts.applied == 2


def test_the_same_id_of_another_customer_is_another_event() -> None:
    target = partition()
    run(target, [record(0, [purchase(who, T0, 5.0, "1") for who in "ab"], T0)])
    assert target.counts.applied == 2


some_events = st.lists(
    st.tuples(
        st.integers(0, 60 * DAY_MS),
        st.sampled_from(["purchase", "usage", "refund", "cost", "contact", "overdue"]),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=14,  # with their repeats always within the window of 16
)


@settings(max_examples=60, deadline=None)
@given(some_events, st.randoms(use_true_random=False))
def test_any_order_repetition_and_delay_ends_in_the_same_money_and_counts(
    found: list[tuple[int, str, int]], random: Random
) -> None:
    events = [
        to_event(Happening(0, 0, "a", kind, 100 * n + number % 100), T0 + at)
        for n, (at, kind, number) in enumerate(found)
    ]
    mixed = events + random.choices(events, k=5)
    random.shuffle(mixed)
    in_order, out_of_order = partition(), partition()
    end = T0 + 61 * DAY_MS
    ordered = sorted(events, key=lambda one: one["time"])
    run(in_order, [record(0, [*ordered, tick(end)], end)])
    run(out_of_order, [record(n, [one], end) for n, one in enumerate([*mixed, tick(end)])])
    left, right = row_of(in_order, "a"), row_of(out_of_order, "a")
    for name in ("events", "revenue", "margin", "cost", "first_seen", "first_at", "last_at"):
        assert left[name] == right[name], name
    for name in ("visits", "spend", "recent_days"):
        assert left[name] == right[name], name
    for name in ("decay30", "decay90"):
        assert left[name] == pytest.approx(right[name], abs=1e-9), name
    assert out_of_order.counts.duplicates == 5


def test_money_is_exact() -> None:
    target = partition()
    events = [purchase("a", T0 + n, 0.1, margin=0.3) for n in range(1_000)]
    refund = purchase("a", T0, -50.0, margin=0.3)
    run(target, [record(0, [*events, refund, cost("a", T0, 1.23)], T0 + DAY_MS)])
    row = row_of(target, "a")
    assert row["spend"] == 100_000_000
    assert row["revenue"] == 50_000_000
    assert row["margin"] == 15_000_000
    assert row["cost"] == 1_230_000


def test_late_events_are_counted_once_each() -> None:
    target = partition()
    late = purchase("a", T0, name="late")
    run(target, [record(0, [tick(T0 + 61_000), late, late], T0 + DAY_MS)])
    assert target.counts.late == 1
    on_time = purchase("a", T0 + 1_000)
    run(target, [record(1, [on_time], T0 + DAY_MS)])
    assert target.counts.late == 1


def test_changed_states_alone_are_written() -> None:
    target = partition()
    run(target, [record(0, [purchase(who, T0) for who in "abc"], T0)])
    history = run(target, [record(1, [purchase("b", T0 + 1)], T0 + 1)])
    assert list(history.changelog) == [b"b"]


def test_whom_a_change_of_model_moved_is_written() -> None:
    target = partition()
    run(target, [record(0, [purchase(who, T0) for who in "abc"], T0)])
    history = run(target, [record(1, [activation(T0, 4)], T0)], models={4: served(4, lean=3.0)})
    assert set(history.changelog) == {b"a", b"b", b"c"}
    assert history.changelog == states(target)
    assert (
        run(target, [record(2, [activation(T0, 5)], T0)], models={5: served(4, 3.0)}).changelog
        == {}
    )


def test_stages_count_every_customer() -> None:
    target = partition()
    run(target, [record(0, [purchase("a", T0), contact("b", T0), contact("c", T0)], T0)])
    counts = target.stages()
    assert counts["onboarding"] == 1
    assert counts["prospect"] == 2
    assert sum(counts.values()) == len(target.table) == 3


def test_the_table_grows_with_its_customers() -> None:
    target = partition()
    customers = [f"c{n}" for n in range(5_000)]
    run(target, [record(0, [purchase(who, T0) for who in customers], T0)])
    assert len(target.table) == 5_000
    assert len(np.unique(target.table.rows["hash"][:5_000])) == 5_000
    assert all(row_of(target, who)["events"] == 1 for who in ("c0", "c1023", "c1024", "c4999"))
