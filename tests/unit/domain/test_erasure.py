"""An erased customer is gone from one place of the log on, and does not come back."""

from __future__ import annotations

import hashlib
import hmac

from shared.domain.erasure import Erased, pseudonym
from shared.domain.features import DAY_MS
from shared.domain.policy import Policy
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    account,
    balanced,
    erasure,
    live,
    partition,
    purchase,
    record,
    restored,
    run,
    states,
    tick,
)

KEY = b"a secret"
POLICY = Policy(erasure_key=KEY)
NAME = hmac.new(KEY, b"b", hashlib.sha256).hexdigest()


def test_state_goes_and_others_stay_as_they_were() -> None:
    events = [purchase(who, T0 + n) for n, who in enumerate("abcabc")]
    target, undisturbed = partition(POLICY), partition(POLICY)
    history = run(target, live([*events, erasure("b", T0 + 9)]))
    run(undisturbed, live([one for one in events if one["subject"] != "b"]))
    assert states(target) == states(undisturbed) == history.changelog
    assert history.forgotten == ["b"]
    assert history.erasures == [Erased(NAME, 0, 6, T0 + 9)]
    assert target.position.erased == 1


def test_what_comes_later_is_dropped_and_counted() -> None:
    target = partition(POLICY)
    run(target, live([purchase("b", T0), erasure("b", T0)]))
    later = [purchase("b", T0, name="new"), account("b", T0 + DAY_MS, "opened"), purchase("a", T0)]
    history = run(target, [record(2, later, T0 + DAY_MS)])
    assert target.table.ids == ["a"]
    assert {score.customer for score in history.scores} == {"a"}
    assert (target.counts.erased, target.counts.controls) == (2, 1)
    assert balanced(target.counts)


def test_events_of_one_record_count_up_to_the_erasure_and_none_behind_it() -> None:
    target = partition(POLICY)
    history = run(
        target, [record(0, [purchase("b", T0), erasure("b"), purchase("b", T0 + 1)], T0 + HOUR_MS)]
    )
    assert (target.counts.applied, target.counts.erased) == (1, 1)
    assert history.changelog == {}
    assert [score.customer for score in history.scores] == ["b"]  # told before it, under its name


def test_the_row_that_takes_the_place_is_reviewed_at_its_own_time() -> None:
    log = [purchase("b", T0), purchase("a", T0 + HOUR_MS), erasure("b"), tick(T0 + 40 * DAY_MS)]
    target, undisturbed = partition(POLICY), partition(POLICY)
    with_it = run(target, [*live(log[:2]), record(2, log[2:], T0 + 40 * DAY_MS)])
    without = run(undisturbed, [*live(log[1:2]), record(2, log[3:], T0 + 40 * DAY_MS)])
    assert states(target) == states(undisturbed)
    moves = [[(one.at, one.after) for one in each.transitions] for each in (with_it, without)]
    assert moves[0][-len(moves[1]) :] == moves[1]
    assert moves[1]  # else nothing was compared


def test_nothing_is_left_in_a_row_that_is_used_again() -> None:
    target, fresh = partition(POLICY), partition(POLICY)
    told = account("b", T0, "opened", plan="gold", acquisition_cost=9.0)
    run(target, live([told, purchase("b", T0 + 1), erasure("b"), purchase("c", T0 + 2, name="1")]))
    run(fresh, live([purchase("c", T0 + 2, name="1")]))
    assert states(target) == states(fresh)
    assert target.table.profiles == {}


def test_a_state_from_a_backup_loses_who_was_erased_since() -> None:
    before = partition(POLICY)
    old = run(before, live([purchase(who, T0) for who in "abc"]))
    again = partition(
        POLICY,
        table=restored(old.changelog, old.changelog),
        position=before.position,
        erased={NAME},
    )
    assert again.table.ids == ["a", "c"]
    history = run(again, [record(9, [purchase("b", T0 + 1)], T0 + HOUR_MS)])
    assert history.forgotten == ["b"]  # and out of the changelog with the first transaction
    assert again.counts.erased == 1


def test_a_name_tells_nothing_without_the_key() -> None:
    assert pseudonym(KEY, "b") == NAME
    assert pseudonym(b"another", "b") != NAME
