"""What is kept of dealings, told, and that no order of events changes it."""

from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import ledger
from shared.domain.dealings import Dealings, Touch
from shared.domain.event_data import ContactData, Outcome, PurchaseData, Status
from shared.domain.features import DAY_MS
from shared.domain.ledger import KEPT, OUTCOMES, REOPENS, STATUSES, Ledger
from shared.domain.lifecycle import CLOSED_INVOLUNTARY, CLOSED_VOLUNTARY, OPEN
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    account,
    contact,
    cost,
    dealings_of,
    live,
    partition,
    purchase,
    run,
    usage,
)

Note = Callable[[Ledger], None]


def told(*notes: Note, now: int = T0 + 99 * DAY_MS) -> Dealings:
    kept = Ledger()
    for note in notes:
        note(kept)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Ledger)
    assert again == kept
    return ledger.told(again, now, T0)


def is_now(status: str, day: float) -> Note:
    return lambda kept: ledger.status(kept, status, T0 + round(day * DAY_MS))


def bought(day: float, amount: float = 1.0, **data: str) -> Note:
    at = T0 + round(day * DAY_MS)
    return lambda kept: ledger.buy(kept, PurchaseData(amount, **data), at)  # type: ignore[arg-type]


def touched(day: float, outcome: Outcome, **data: object) -> Note:
    touch = ContactData(**{"channel": "sms", "outcome": outcome, **data})  # type: ignore[arg-type]
    return lambda kept: ledger.touch(kept, touch, T0 + round(day * DAY_MS))


def day(number: float) -> int:
    return T0 + round(number * DAY_MS)


# -- purchases


def test_the_eight_products_bought_last_are_held() -> None:
    """Not the first ones in the alphabet: it goes the other way here."""
    found = told(*(bought(n, product=f"p{9 - n}") for n in (5, 1, 2, 3, 4, 9, 8, 7, 6, 1)))
    assert found.products == {f"p{9 - n}": day(n) for n in range(2, 10)}
    assert told(*(bought(n, product="p") for n in (5, 6, 2))).products == {"p": day(6)}


def test_a_rhythm_of_recharges_is_the_median_of_the_latest() -> None:
    days = [0, 7, 7.1, 14, 44, 51]  # twice on one day, and once after a holiday
    found = told(*(bought(n, category="recharge") for n in days))
    assert (found.recharge_days, found.recharged_at) == (7.0, day(51))
    assert told(bought(3, category="recharge")).recharge_days is None
    many = told(*(bought(n, category="recharge") for n in [0, 50, *range(60, 68)]))
    assert many.recharge_days == 1.0


def test_refunds_and_other_purchases_are_no_recharges() -> None:
    refund = bought(1, -1.0, product="p", category="recharge")
    assert told(refund, bought(2, category="device"), bought(3)) == Dealings()


# -- touch points


def test_touch_points_are_counted_by_outcome_and_the_newest_is_told() -> None:
    found = told(
        touched(3, "accepted", trigger_id="t1"),
        touched(2, "complained"),
        touched(1, "complained"),
        touched(0, "sent"),
    )
    assert (found.contacts, found.accepted, found.complaints) == (4, 1, 2)
    assert found.complained_at == day(2)
    assert found.last_contact == Touch(day(3), "sms", "accepted", "t1", None)


def test_the_newest_rating_counts() -> None:
    found = told(touched(5, "rated", score=2.0), touched(4, "rated", score=9.0), touched(6, "sent"))
    assert found.rating == 2.0
    assert told(touched(1, "rated", score=0.0)).rating == 0.0


def test_of_one_instant_the_outcome_counts_that_can_follow_the_other() -> None:
    assert set(OUTCOMES) == set(get_args(Outcome))
    for notes in ([touched(1, "sent"), touched(1, "opened")],) * 2:
        notes.reverse()
        last = told(*notes).last_contact
        assert last is not None
        assert last.outcome == "opened"


# -- payments


@pytest.mark.parametrize(
    ("events", "failed", "overdue"),
    [
        ([("payment_failed", 1), ("payment_failed", 2)], 2, None),
        ([("payment_failed", 1), ("overdue", 2), ("overdue", 3)], 1, 2),
        ([("payment_failed", 1), ("overdue", 2), ("settled", 3)], 0, None),
        ([("overdue", 1), ("settled", 2), ("payment_failed", 3), ("overdue", 4)], 1, 4),
        ([("payment_failed", 1), ("settled", 1)], 0, None),
    ],
)
def test_what_is_owed_is_since_all_was_settled(
    events: list[tuple[str, int]], failed: int, overdue: int | None
) -> None:
    for notes in (events, events[::-1]):
        found = told(*(is_now(*one) for one in notes))
        assert found.payments_failed == failed
        assert found.overdue_since == (None if overdue is None else day(overdue))


def test_many_failures_are_all_counted_and_settled_together() -> None:
    many = [is_now("payment_failed", n / 4) for n in range(30)]
    assert told(*many).payments_failed == 30
    assert told(*many, is_now("settled", 7)).payments_failed == 1
    assert told(*many, is_now("settled", 9)).payments_failed == 0


def test_of_many_bills_the_first_is_overdue_longest() -> None:
    assert told(*(is_now("overdue", n) for n in range(3, 40))).overdue_since == day(3)


# -- the account


def test_every_status_is_kept_as_one_number() -> None:
    assert {*get_args(Status)} - {*STATUSES} == {"consent_given", "consent_withdrawn"}
    assert {*STATUSES} - {*get_args(Status)} == {"closed_voluntary", "closed_involuntary"}
    assert STATUSES.index("closed") == 9  # states hold the numbers


@pytest.mark.parametrize("reopens", sorted(REOPENS))
def test_what_ends_a_notice_a_pause_and_a_closure(reopens: str) -> None:
    ends = [is_now("notice_given", 1), is_now("paused", 2), is_now("closed", 3)]
    assert told(*ends[:2]).paused_at == day(2)
    closed = told(*ends)
    assert (closed.notice_at, closed.paused_at, closed.closed_at) == (day(1), None, day(3))
    again = told(is_now(reopens, 4), *ends)
    assert (again.notice_at, again.paused_at, again.closed_at) == (None, None, None)


@pytest.mark.parametrize("reopens", sorted(REOPENS))
@pytest.mark.parametrize("order", [1, -1])
def test_who_closes_and_opens_an_account_at_once_has_one(reopens: str, order: int) -> None:
    kept = Ledger()
    for note in [is_now("closed", 1), is_now(reopens, 1)][::order]:
        note(kept)
    assert ledger.closing(kept) == (OPEN, 0)
    assert ledger.newest_status(kept) == reopens


def test_a_trial_is_remembered() -> None:
    found = told(is_now("trial_started", 1), is_now("activated", 8))
    assert found.trial_at == day(1)
    assert Ledger().statuses == {}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("closed", CLOSED_VOLUNTARY),
        ("closed_voluntary", CLOSED_VOLUNTARY),
        ("closed_involuntary", CLOSED_INVOLUNTARY),
    ],
)
def test_who_closed_an_account_is_known(status: str, code: int) -> None:
    kept = Ledger()
    assert ledger.closing(kept) == (OPEN, 0)
    is_now(status, 3)(kept)
    assert ledger.closing(kept) == (code, day(3))
    assert ledger.newest_status(kept) == "closed"


OWING, VOLUNTARY, INVOLUNTARY = ("payment_failed", 1), CLOSED_VOLUNTARY, CLOSED_INVOLUNTARY


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([OWING, ("closed", 3)], INVOLUNTARY),
        ([("overdue", 3), ("closed", 3)], INVOLUNTARY),
        ([OWING, ("closed_voluntary", 3)], VOLUNTARY),  # what is said counts
        ([("closed_involuntary", 3)], INVOLUNTARY),
        ([OWING, ("settled", 2), ("closed", 3)], VOLUNTARY),
        ([OWING, ("closed", 3), ("settled", 5)], INVOLUNTARY),  # paid after it was closed
        ([("closed", 3), ("payment_failed", 4)], VOLUNTARY),  # the last bill
        ([OWING, ("settled", 2), ("closed", 3), ("overdue", 4), ("settled", 5)], VOLUNTARY),
        ([OWING, ("closed", 3), ("closed_voluntary", 3)], VOLUNTARY),  # who says more
    ],
)
def test_who_left_owing_left_involuntarily_unless_it_is_said(
    events: list[tuple[str, int]], code: int
) -> None:
    for notes in permutations(events):
        kept = Ledger()
        for one in notes:
            is_now(*one)(kept)
        assert ledger.closing(kept) == (code, day(3))


@pytest.mark.parametrize(
    ("mentions", "expected"),
    [
        ([(1, True)], (1, 0)),
        ([(1, True), (2, True)], (1, 0)),
        ([(0, False), (1, True), (3, False), (9, False)], (1, 3)),
        ([(1, True), (3, False), (5, True)], (5, 0)),
        ([(1, True), (3, False), (5, True), (6, False)], (5, 6)),
        ([(1, False)], (0, 0)),
    ],
)
def test_the_last_pause_has_a_beginning_and_an_end(
    mentions: list[tuple[int, bool]], expected: tuple[int, int]
) -> None:
    kept = Ledger()
    for at, paused in mentions:
        is_now("paused" if paused else "renewed", at)(kept)
    assert ledger.pause(kept) == tuple(at and day(at) for at in expected)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc")), min_size=1, max_size=15),
    st.data(),
)
def test_a_plan_is_held_since_it_was_first_named_without_another_between(
    mentions: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Eight hours apart or more, so that a day holds no more of them than are kept."""
    events = sorted({(T0 + 8 * HOUR_MS * at, name) for at, name in mentions})
    delays = data.draw(st.lists(st.sampled_from([0, 9, 24]), min_size=len(events), max_size=99))
    kept = Ledger()
    arrivals = sorted(
        zip(events, delays, strict=False), key=lambda one: one[0][0] + one[1] * HOUR_MS
    )
    for (at, name), _ in arrivals:
        ledger.mention(kept.plans, at, name, kept=1)
    expected_name = events[-1][1]
    others = [n for n, (_, name) in enumerate(events) if name != expected_name]
    since = events[others[-1] + 1 if others else 0][0]
    assert ledger.plan(kept) == (expected_name, since)


@pytest.mark.parametrize("names", ["abbbb", "aaabbbb", "abcabc"])
def test_what_is_mentioned_within_a_day_is_kept(names: str) -> None:
    kept = Ledger()
    for hour, name in enumerate(names):
        ledger.mention(kept.plans, T0 + hour * HOUR_MS, name, kept=1)
    assert "".join(name for _, name in kept.plans) == names


def test_a_plan_mentioned_all_day_long_takes_bounded_room() -> None:
    kept = Ledger()
    for minute in range(3_000):
        ledger.mention(kept.plans, T0 + minute * 60_000, "a", kept=1)
    assert len(kept.plans) <= KEPT + 1
    assert ledger.plan(kept) == ("a", T0)


# -- through the partition


def test_costs_are_by_kind_and_exact() -> None:
    events = [
        *(cost("a", T0, 0.1, kind="marketing") for _ in range(3)),
        cost("a", T0, 2.5),
        account("a", T0, "opened", acquisition_cost=30),
    ]
    target = partition()
    run(target, live(events))
    assert dealings_of(target, "a").costs == {
        "marketing": 0.3, "service": 2.5, "acquisition": 30.0,
    }  # fmt: skip


def test_a_score_tells_dealings_as_they_were_then() -> None:
    events = [
        contact("a", T0),
        usage("a", T0 + 1, service="data", quantity=2.0),
        contact("a", T0 + 2, outcome="complained"),
    ]
    scores = [one for one in run(partition(), live(events)).scores if one.cause == "event"]
    assert [one.dealings.contacts for one in scores] == [1, 1, 2]
    assert [one.dealings.complaints for one in scores] == [0, 0, 1]
    assert scores[-1].dealings.services["data"].quantity == 2.0


def test_who_only_buys_has_no_ledger() -> None:
    target = partition()
    (score, *_) = run(target, live([purchase("a", T0)])).scores
    assert score.dealings == Dealings()
    assert target.table.ledgers == {}


def test_a_repeated_event_is_noted_once() -> None:
    target = partition()
    once = usage("a", T0, "same", quantity=2.0)
    run(target, live([once, contact("a", T0, "also"), once, contact("a", T0, "also")]))
    found = dealings_of(target, "a")
    assert (found.contacts, found.services["voice"].quantity) == (1, 2.0)


# -- any order

some_statuses = st.lists(  # as many as are kept, within a day
    st.builds(is_now, st.sampled_from(STATUSES), st.sampled_from([0, 0.25, 0.5, 0.75, 1])),
    max_size=KEPT,
)
some_notes = st.lists(
    st.one_of(
        st.builds(
            bought,
            st.integers(0, 40),
            product=st.sampled_from([f"p{n}" for n in range(12)]),
            category=st.sampled_from(["recharge", "plan"]),
        ),
        st.builds(
            touched,
            st.integers(0, 5),
            st.sampled_from(OUTCOMES),
            channel=st.sampled_from(["sms", "email"]),
            score=st.sampled_from([None, 0.0, 7.0]),
        ),
        st.builds(
            lambda kind, amount: lambda kept: ledger.spend(kept, kind, amount),
            st.sampled_from(["marketing", "service"]),
            st.integers(0, 10**9),
        ),
    ),
    max_size=20,
)


@settings(max_examples=300)
@given(some_notes, some_statuses, st.randoms(use_true_random=False))
def test_any_order_ends_in_the_same_dealings(
    others: list[Note], statuses: list[Note], random: Random
) -> None:
    notes = others + statuses
    mixed = random.sample(notes, len(notes))
    left, right = Ledger(), Ledger()
    for one, other in zip(notes, mixed, strict=True):
        one(left)
        other(right)
    assert ledger.closing(left) == ledger.closing(right)
    assert ledger.newest_status(left) == ledger.newest_status(right)
    assert ledger.pause(left) == ledger.pause(right)
    assert ledger.told(left, day(50), T0) == ledger.told(right, day(50), T0)
