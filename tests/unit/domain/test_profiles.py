"""What account events tell about a customer, beyond behaviour."""

from itertools import permutations
from typing import get_args

import pytest

from shared.domain import profiles
from shared.domain.event_data import AccountData, Status
from shared.domain.events import Account, decode_event
from shared.domain.features import plan_codes
from shared.domain.ledger import REOPENS, Ledger, closing, plan
from shared.domain.lifecycle import CLOSED_INVOLUNTARY, CLOSED_VOLUNTARY, OPEN
from shared.domain.outputs import Profile
from tests.unit.domain.histories import T0, account, live, partition, row_of, run


def update_profile(
    profile: Profile, data: AccountData, at: int = T0, kept: Ledger | None = None
) -> Profile:
    return profiles.update_profile(profile, Ledger() if kept is None else kept, data, at)


def data(status: Status, **more: object) -> AccountData:
    (record,) = live([account("a", T0, status, **more)])
    event = decode_event((record.value or b"")[1:-1])
    assert isinstance(event, Account)
    return event.data


def test_what_an_event_names_replaces_what_was_known() -> None:
    known = Profile(plan="gold", brand="one", balance=5.0)
    found = update_profile(known, data("plan_changed", plan="silver", balance=0.0))
    assert found == Profile(plan="silver", brand="one", balance=0.0, status="plan_changed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plan", "gold"),
        ("plan_limit", 10.0),
        ("brand", "one"),
        ("market", "DE"),
        ("time_zone", "Europe/Berlin"),
        ("balance", -3.0),
        ("acquisition_source", "shop"),
        ("referred_by", "b"),
    ],
)
def test_every_plain_fact_is_kept(name: str, value: object) -> None:
    found = update_profile(Profile(), data("opened", **{name: value}))
    assert getattr(found, name) == value
    assert update_profile(found, data("settled")) == update_profile(
        Profile(**{name: value}), data("settled")
    )


@pytest.mark.parametrize("name", ["expiry", "contract_end"])
def test_dates_are_milliseconds(name: str) -> None:
    found = update_profile(Profile(), data("renewed", **{name: "1970-01-02T01:00:00+01:00"}))
    assert getattr(found, name) == 86_400_000


def test_attributes_are_merged() -> None:
    known = Profile(attributes={"colour": "red", "size": "s"})
    found = update_profile(known, data("opened", attributes={"size": "m", "age": "9"}))
    assert found.attributes == {"colour": "red", "size": "m", "age": "9"}
    assert known.attributes == {"colour": "red", "size": "s"}


@pytest.mark.parametrize(
    ("about", "key"),
    [
        ({}, "*"),
        ({"channel": "sms"}, "sms"),
        ({"purpose": "offers"}, "offers"),
        ({"channel": "sms", "purpose": "offers"}, "sms/offers"),
    ],
)
def test_consent_is_by_channel_and_purpose_and_is_no_status(
    about: dict[str, str], key: str
) -> None:
    known = Profile(status="activated", consent={"email": True})
    given = update_profile(known, data("consent_given", **about))
    assert given == Profile(status="activated", consent={"email": True, key: True})
    withdrawn = update_profile(given, data("consent_withdrawn", **about))
    assert withdrawn == Profile(status="activated", consent={"email": True, key: False})


def told(events: list[tuple[int, Status, dict[str, object]]]) -> tuple[Profile, Ledger]:
    profile, kept = Profile(), Ledger()
    for at, status, more in events:
        profile = update_profile(profile, data(status, **more), T0 + at, kept)
    return profile, kept


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"plan": "gold"}, {"plan": "silver"}),
        ({"balance": 9.0}, {"balance": -1.0}),
        ({"expiry": "2027-01-02T00:00:00Z"}, {"expiry": "2026-01-02T00:00:00Z"}),
        ({"attributes": {"tier": "9"}}, {"attributes": {"tier": "1", "age": "3"}}),
        ({"channel": "sms"}, {"channel": "sms"}),
    ],
)
def test_what_an_event_says_goes_by_its_time_and_not_by_its_arrival(
    older: dict[str, object], newer: dict[str, object]
) -> None:
    status: tuple[Status, Status] = ("activated", "renewed")
    if "channel" in older:
        status = ("consent_withdrawn", "consent_given")
    first, then = (1, status[0], older), (2, status[1], newer)
    opened = (0, "lead", {})
    expected, _ = told([opened, first, then])
    assert told([opened, then, first])[0] == expected
    assert told([then, opened, first])[0] == expected
    assert told([then, first, opened])[0] == expected


def test_a_fact_that_is_said_again_holds_from_then_on() -> None:
    """Plans A, B, A: whoever hears of B last has heard of A after it."""
    a, b, again = (
        (at, "renewed", {"plan": p, "brand": p}) for at, p in [(1, "A"), (2, "B"), (3, "A")]
    )
    for events in permutations([a, b, again]):
        profile, kept = told(list(events))
        assert (profile.plan, profile.brand) == ("A", "A")
        assert plan(kept) == ("A", T0 + 3)


def test_of_two_facts_of_one_instant_the_same_counts_in_any_order() -> None:
    left = (1, "opened", {"plan": "A", "balance": 5.0, "attributes": {"x": "a"}})
    right = (1, "activated", {"plan": "B", "balance": 4.0, "attributes": {"x": "b"}})
    one, other = told([left, right])[0], told([right, left])[0]
    assert one == other
    assert (one.plan, one.balance, one.attributes, one.status) == (
        "B",
        5.0,
        {"x": "b"},
        "activated",
    )


def test_consent_that_was_given_and_withdrawn_at_once_is_withdrawn() -> None:
    both = [(1, "consent_given", {}), (1, "consent_withdrawn", {})]
    for events in (both, both[::-1]):
        assert told([(0, "lead", {}), *events])[0].consent == {"*": False}  # type: ignore[list-item]


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("voluntary", [True, False])
def test_what_closes_and_opens_an_account(status: Status, voluntary: bool) -> None:
    _, kept = told([(1, "closed", {"voluntary": voluntary}), (2, status, {})])
    code, at = closing(kept)
    if status in REOPENS:
        assert (code, at) == (OPEN, 0)
    elif status == "closed":
        assert (code, at) == (CLOSED_VOLUNTARY, T0 + 2)
    else:
        assert (code, at) == (CLOSED_VOLUNTARY if voluntary else CLOSED_INVOLUNTARY, T0 + 1)


def test_an_account_closed_by_the_operator_is_told_apart() -> None:
    assert closing(told([(1, "closed", {"voluntary": False})])[1])[0] == CLOSED_INVOLUNTARY
    assert told([(1, "closed", {"voluntary": False})])[0].status == "closed"


def test_the_row_repeats_what_is_known_of_the_account() -> None:
    target = partition()
    events = [
        account("a", T0, "opened", plan="flat-S"),
        account("a", T0 + 5_000, "paused"),
        account("a", T0 + 9_000, "activated"),
        account("a", T0 + 9_500, "closed"),
    ]
    run(target, live(events))
    row = row_of(target, "a")
    assert (row["plan"], row["family"], row["plan_at"]) == (*plan_codes("flat-S"), T0)
    assert (row["paused_s"], row["resumed_s"]) == (T0 // 1000 + 5, T0 // 1000 + 9)
    assert row["closed"] == CLOSED_VOLUNTARY


def test_a_profile_travels_with_the_score_and_the_state() -> None:
    target = partition()
    events = [account("a", T0, "opened", plan="gold"), account("a", T0 + 1, "closed")]
    history = run(target, live(events), [1])
    plans = [(score.profile.plan, score.profile.status, score.closed) for score in history.scores]
    assert plans == [("gold", "opened", False), ("gold", "closed", True)]
    assert row_of(target, "a")["closed"] == CLOSED_VOLUNTARY


def test_a_repeated_account_event_changes_nothing() -> None:
    target = partition()
    opened = account("a", T0, "opened", "same")
    closed = account("a", T0 + 1, "closed")
    history = run(target, live([opened, closed, opened]))
    assert len(history.scores) == 2
    assert row_of(target, "a")["closed"] == CLOSED_VOLUNTARY
