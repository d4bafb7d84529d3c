"""What account events tell about a customer, beyond behaviour."""

from typing import get_args

import pytest

from shared.domain.events import Account, AccountData, Status, decode_event
from shared.domain.lifecycle import CLOSED_INVOLUNTARY, CLOSED_VOLUNTARY, OPEN
from shared.domain.outputs import Profile
from shared.domain.profiles import closed_code, update_profile
from tests.unit.domain.histories import T0, account, live, partition, row_of, run


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


REOPENS = {"opened", "activated", "renewed", "trial_started"}


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("before", [OPEN, CLOSED_VOLUNTARY, CLOSED_INVOLUNTARY])
def test_what_closes_and_opens_an_account(status: Status, before: int) -> None:
    after = closed_code(before, data(status))
    if status == "closed":
        assert after == CLOSED_VOLUNTARY
    else:
        assert after == (OPEN if status in REOPENS else before)


def test_an_account_closed_by_the_operator_is_told_apart() -> None:
    assert closed_code(OPEN, data("closed", voluntary=False)) == CLOSED_INVOLUNTARY
    assert closed_code(OPEN, data("closed", voluntary=True)) == CLOSED_VOLUNTARY


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
