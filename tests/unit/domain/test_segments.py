"""A customer's segment follows what happens, time, and the boundaries of the base."""

from random import Random

import pytest

from shared.domain import segments
from shared.domain.outputs import Score
from shared.domain.policy import DAY_MS, SLOT_MS
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    History,
    Json,
    account,
    boundaries,
    live,
    partition,
    purchase,
    restored,
    run,
    states,
    tick,
    usage,
)

CROWD = [f"c{n}" for n in range(20)]


def told(history: History, customer: str) -> list[tuple[str, str]]:
    """Return (segment, cause) of a customer's scores, each segment once in a row."""
    found = list[tuple[str, str]]()
    for score in history.scores:
        if score.customer == customer and (not found or found[-1][0] != score.segment):
            found.append((score.segment, score.cause))
    return found


def last(history: History) -> dict[str, Score]:
    return {score.customer: score for score in history.scores}


def test_without_boundaries_nobody_is_in_a_segment() -> None:
    target = partition()
    (score,) = run(target, live([purchase("a", T0)])).scores
    assert (score.segment, score.rfm, score.value_band) == ("", "", 0)
    assert set(target.segments().values()) == {0}


def test_events_and_time_alone_move_a_customer() -> None:
    daily = [purchase("a", T0 + day * DAY_MS, 20.0) for day in range(1, 6)]
    events = [purchase("a", T0, 5.0), boundaries(T0 + 1, 1), *daily, tick(T0 + 40 * DAY_MS)]
    target = partition()
    history = run(target, live(events))
    assert told(history, "a") == [
        ("", "event"),
        ("new", "review"),  # boundaries came
        ("loyal", "event"),
        ("champions", "event"),
        ("loyal", "review"),  # silent for two days, then for three
        ("at_risk", "review"),
    ]
    score = last(history)["a"]
    assert (score.rfm, score.segment) == ("155", "at_risk")
    assert target.segments()["at_risk"] == 1


def test_whoever_leaves_is_in_no_segment_and_comes_back_into_one() -> None:
    events = [
        boundaries(T0, 1),
        purchase("a", T0 + 1),
        account("a", T0 + 2, "closed"),
        account("a", T0 + 3, "activated"),
        account("lead", T0 + 4, "lead"),
    ]
    history = run(partition(), live(events))
    assert [segment for segment, _ in told(history, "a")] == ["new", "", "new"]
    assert told(history, "lead") == [("", "event")]


def test_a_score_tells_value_band_and_heavy_use() -> None:
    events = [boundaries(T0, 1, clv=[1e-6, 2e-6, 3e-6, 1e9]), usage("a", T0 + 1, quantity=99.0)]
    score = run(partition(), live([*events, purchase("a", T0 + DAY_MS, 50.0)])).scores[-1]
    assert score.heavy_use == ["voice"]
    assert score.value_band == 4
    assert score.clv > 0


def test_the_highest_version_holds_however_often_and_late_the_others_come() -> None:
    far = {"silence_days": [400.0, 300.0, 200.0, 100.0]}
    near = [purchase("a", T0), boundaries(T0 + 1, 2, **far)]
    older = [boundaries(T0 + 2, 2, **far), boundaries(T0 + 3, 2), boundaries(T0 + 4, 1)]
    target = partition()
    history = run(target, live([*near, *older, tick(T0 + 5 * DAY_MS)]))
    assert target.position.boundaries.silence_days == (400.0, 300.0, 200.0, 100.0)
    assert told(history, "a")[-1][0] == "new"


def crowd() -> list[Json]:
    """Return events of many customers, boundaries, time enough to tell all, and other ones."""
    bought = [
        purchase(customer, T0 + n * HOUR_MS, 5.0 * n, name=f"{customer}/{n}")
        for n, customer in enumerate(CROWD)
    ]
    now = T0 + 20 * HOUR_MS
    marks = [tick(now + n * SLOT_MS) for n in range(1, 12)]
    later = boundaries(now + 12 * SLOT_MS, 2, spend=[1.0, 2.0, 3.0, 4.0])
    return [*bought, boundaries(now, 1), *marks, later, tick(now + 13 * SLOT_MS)]


def test_after_other_boundaries_some_are_told_of_at_once_and_the_others_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SWEEP", 7)
    target, records = partition(), live(crowd())
    run(target, records[: len(CROWD)])
    told_of = [
        sum(score.segment != "" for score in run(target, [one]).scores)
        for one in records[len(CROWD) :][:5]
    ]
    assert told_of == [7, 7, 6, 0, 0]
    assert not target.position.sweeping
    assert sum(target.segments().values()) == len(CROWD)


@pytest.mark.parametrize("stop", [len(CROWD) + 1, len(CROWD) + 2, len(CROWD) + 13])
def test_a_restore_in_the_midst_goes_on_as_if_nothing_had_happened(
    monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr(segments, "SWEEP", 7)
    records = live(crowd())
    whole, before = partition(), partition()
    all_of_it = run(whole, records)
    until = run(before, records[:stop], range(stop))
    keys = list(until.changelog)
    Random(1).shuffle(keys)
    after = partition(table=restored(until.changelog, keys), position=before.position)
    rest = run(after, records[stop:])
    assert [*until.scores, *rest.scores] == all_of_it.scores
    assert states(after) == states(whole)
    assert after.position == whole.position


def test_counts_are_those_of_the_last_scores() -> None:
    target = partition()
    history = run(target, live(crowd()))
    found = dict.fromkeys(segments.SEGMENTS, 0)
    for score in last(history).values():
        if score.segment:
            found[score.segment] += 1  # type: ignore[index]
    assert target.segments() == found
