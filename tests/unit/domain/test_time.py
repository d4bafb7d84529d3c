"""A partition's time: part of its log, never back, and nobody can push it into the future."""

import json

import pytest
from hypothesis import given, settings

from shared.domain.batch import Record, read_batch
from shared.domain.outputs import Identity
from shared.domain.policy import DAY_MS, MINUTE_MS, SLOT_MS
from tests.unit.domain.happenings import MODELS, Happening, elsewhere, histories, to_records
from tests.unit.domain.histories import (
    HOUR_MS,
    POLICY,
    T0,
    Json,
    account,
    balanced,
    live,
    partition,
    purchase,
    record,
    row_of,
    run,
    tick,
)

TOLERANCE = POLICY.future_tolerance_ms


@settings(max_examples=80, deadline=None)
@given(histories)
def test_time_never_goes_back_and_is_never_ahead_of_an_append(
    history: list[list[Happening]],
) -> None:
    target, before, appended = partition(owner=elsewhere), 0, 0
    for one in to_records(history):
        run(target, [one], models=MODELS)
        appended = max(appended, one.timestamp)
        assert before <= target.now <= appended
        before = target.now


def test_time_is_the_events_own_when_it_comes_late() -> None:
    target = partition()
    run(target, [record(0, [purchase("a", T0)], T0 + 300 * DAY_MS)])
    assert target.now == T0


@pytest.mark.parametrize("ahead", [1, TOLERANCE])
def test_an_event_ahead_of_its_append_counts_but_does_not_move_time_past_it(ahead: int) -> None:
    target = partition()
    run(target, [record(0, [purchase("a", T0 + ahead)], T0)])
    assert target.now == T0
    assert row_of(target, "a")["last_at"] == T0 + ahead


def test_a_producer_with_a_wrong_clock_moves_nothing() -> None:
    target = partition()
    run(target, live([purchase("a", T0)]))
    event = purchase("a", T0 + 10_000 * DAY_MS)
    history = run(target, [record(1, [event], T0 + TOLERANCE)])
    (letter,) = history.letters
    assert json.loads(letter.value) == event
    assert (letter.offset, letter.index, letter.field) == (1, 0, "time")
    assert target.now == T0
    assert (row_of(target, "a")["events"], target.counts.dead_letters) == (1, 1)
    assert balanced(target.counts)


def test_a_late_event_leaves_time_where_it_is() -> None:
    target = partition()
    run(target, live([purchase("a", T0), purchase("b", T0 - 50 * DAY_MS)]))
    assert target.now == T0


def test_ticks_move_time_and_with_it_the_silent() -> None:
    target = partition()
    run(target, live([purchase("a", T0)]))
    history = run(target, live([tick(T0 + 29 * DAY_MS)], offset=1))
    assert target.now == T0 + 29 * DAY_MS
    assert [move.after for move in history.transitions][-1] == "lapsed"
    assert target.counts.controls == 1
    assert target.counts.applied == 1


def test_a_tick_of_the_past_moves_nothing() -> None:
    target = partition()
    run(target, live([purchase("a", T0)]))
    history = run(target, live([tick(T0 - DAY_MS)], offset=1))
    assert (target.now, history.changelog) == (T0, {})


@pytest.mark.parametrize(("since", "told"), [(SLOT_MS - 1, False), (SLOT_MS, True)])
def test_the_clock_is_told_when_it_passes_a_quarter_of_an_hour(since: int, told: bool) -> None:
    target = partition()
    run(target, live([purchase("a", T0)]))
    batch = read_batch(0, live([tick(T0 + since)], offset=1), TOLERANCE)
    clock = target.apply(batch, {}).clock
    assert (clock is not None) is told
    assert clock is None or (clock.partition, clock.at) == (0, T0 + since)


def test_the_position_says_where_to_go_on() -> None:
    target = partition()
    run(target, [record(41, [purchase("a", T0)], T0), Record(44, T0, None)])
    position = target.position
    assert (position.offset, position.now, position.model) == (45, T0, 0)
    run(target, [record(45, [purchase("a", T0 + 1)], T0 + 1)])
    assert (position.offset, position.now, position.counts.applied) == (45, T0, 1)


# -- customers of other partitions


def test_misplaced_events_are_handed_on_as_they_came_and_never_added() -> None:
    asked: list[str] = []

    def owner(customer: str) -> int:
        asked.append(customer)
        return 3 if customer.startswith("x") else 0

    stranger = '{ "odd" : 1.50, ' + json.dumps(purchase("x1", T0))[1:]
    closed = json.dumps(account("x2", T0, "closed"))
    own = json.dumps(purchase("a", T0))
    records = [
        Record(0, T0, f"[{own} , {stranger},{own},\n{closed}]".encode()),
        Record(1, T0, f" {stranger}\n".encode()),
    ]
    target = partition(owner=owner)
    history = run(target, records, [1])
    assert history.misplaced == [
        (3, stranger.encode(), Identity(0, 0, 1)),
        (3, closed.encode(), Identity(0, 0, 3)),
        (3, f" {stranger}\n".encode(), Identity(0, 1, 0)),
    ]
    assert target.table.ids == ["a"]
    assert set(history.changelog) == {b"a"}
    assert (target.counts.misplaced, target.counts.accepted) == (3, 5)
    assert balanced(target.counts)
    assert asked.count("a") == 1


def moved(offset: int, event: Json, origin: Identity) -> Record:
    return Record(offset, T0, json.dumps([event]).encode(), origin)


def test_what_another_partition_moves_here_again_counts_once_however_old() -> None:
    """Its scorer was rebuilt from its log, and finds the same events on the wrong partition."""
    strangers = [purchase("a", T0 + n, 1.0, f"moved{n}") for n in range(4)]
    places = [Identity(2, 5, 0), Identity(2, 5, 1), Identity(1, 0, 0), Identity(2, 6, 0)]
    first = [moved(n, one, at) for n, (one, at) in enumerate(zip(strangers, places, strict=True))]
    others = [record(4 + n, [purchase("a", T0 + n, name=f"own{n}")], T0) for n in range(40)]
    again = [one._replace(offset=44 + n) for n, one in enumerate(first)]
    new = moved(48, purchase("a", T0, name="new"), Identity(2, 6, 1))
    records = [*first, *others, *again, new]
    for cuts in ([], range(len(records)), [3, 45, 47]):
        target = partition()
        run(target, records, cuts)
        assert (target.counts.applied, target.counts.duplicates) == (45, 4)
        assert balanced(target.counts)
        assert row_of(target, "a")["events"] == 45
        assert target.position.moved == {1: Identity(1, 0, 0), 2: Identity(2, 6, 1)}
        assert target.offset == 49


def test_where_the_last_event_was_moved_from_is_part_of_the_position() -> None:
    event = purchase("a", T0, name="moved")
    before = partition()
    run(before, [moved(0, event, Identity(2, 5, 0))])
    own = [record(1 + n, [purchase("a", T0, name=f"own{n}")], T0) for n in range(40)]
    run(before, own)
    after = partition(table=before.table, position=before.position)
    run(after, [moved(41, event, Identity(2, 5, 0))])
    assert (after.counts.applied, after.counts.duplicates) == (41, 1)


def test_misplaced_events_move_time_all_the_same() -> None:
    target = partition(owner=elsewhere)
    run(target, live([purchase("x", T0 + HOUR_MS)]))
    assert target.now == T0 + HOUR_MS
    assert target.now > MINUTE_MS
