"""Events and anniversaries count each time; levels once until they came back far enough."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.dealings import Dealings, ServiceUse, Touch
from shared.domain.happenings import Happening, happened, usage_ratio
from shared.domain.outputs import Profile
from shared.domain.seen import Seen
from shared.domain.triggers import Anniversary, Falls, Happened, Rises, years_after
from tests.campaign_builders import DAY, HOUR, T0, score
from tests.unit.domain.test_triggers import Told


def dealt(step: int, **other: Any) -> Any:  # noqa: ANN401  # what dealings hold
    return score(step=step, dealings=Dealings(**other))


def balance(step: int, amount: float | None) -> Any:  # noqa: ANN401
    return score(step=step, profile=Profile(balance=amount))


def test_each_complaint_counts_anew_and_those_heard_of_at_once_together() -> None:
    told = Told(Happened(event="complaint"))
    assert told(dealt(0, complaints=3)) == []  # first sight
    (first,) = told(dealt(1, complaints=4), dealt(2, complaints=4))
    assert (first.number, first.trigger) == (1, "complaint")
    told.restarted()
    (second,) = told(dealt(3, complaints=6), dealt(4, complaints=6))
    assert second.number == 2


def test_an_event_with_a_model_or_before_anybody_knew_the_customer_does_not_count() -> None:
    assert Told(Happened(event="complaint"))(dealt(0, complaints=1)) == []
    told = Told(Happened(event="complaint"))
    by_model = score(step=1, cause="model", dealings=Dealings(complaints=1))
    assert told(dealt(0), by_model, dealt(2, complaints=1)) == []
    assert len(told(dealt(3, complaints=2))) == 1


def test_who_asks_for_the_existing_gets_a_newcomer_with_the_first_event() -> None:
    told = Told(Happened(event="purchase", of="phone", include_existing=True))
    (first,) = told(dealt(0, products={"phone": T0}), dealt(1, products={"phone": T0, "case": T0}))
    assert first.trigger == "purchase of phone"
    (again,) = told(dealt(2, products={"phone": T0 + DAY}))
    assert again.number == 2


def test_what_is_overdue_again_after_it_was_settled_counts_again() -> None:
    told = Told(Happened(event="overdue"))
    (first,) = told(dealt(0), dealt(1, overdue_since=T0))
    assert told(dealt(2), dealt(3)) == []
    (second,) = told(dealt(4, overdue_since=T0 + DAY))
    assert (first.number, second.number) == (1, 2)


EVENTS: list[tuple[Happening, str | None, Dealings]] = [
    ("complaint", None, Dealings(complaints=1)),
    ("accepted", None, Dealings(accepted=1)),
    ("declined", None, Dealings(last_contact=Touch(T0, "sms", "declined"))),
    ("rated", None, Dealings(last_contact=Touch(T0, "sms", "rated", score=9.0))),
    ("purchase", None, Dealings(products={"case": T0})),
    ("purchase", "phone", Dealings(products={"phone": T0})),
    ("usage", "data", Dealings(services={"data": ServiceUse(T0, 1.0, 1.0, 1.0)})),
    ("recharge", None, Dealings(recharged_at=T0)),
    ("payment_failed", None, Dealings(payments_failed=1)),
    ("overdue", None, Dealings(overdue_since=T0)),
    ("notice_given", None, Dealings(notice_at=T0)),
    ("paused", None, Dealings(paused_at=T0)),
    ("trial_started", None, Dealings(trial_at=T0)),
]


@pytest.mark.parametrize(("event", "of", "dealings"), EVENTS)
def test_every_event_is_seen_in_what_went_on(
    event: Happening, of: str | None, dealings: Dealings
) -> None:
    trigger = Happened(event=event, of=of)
    (only,) = Told(trigger)(score(), score(step=1, dealings=dealings))
    assert only.outcome == "fired"
    others = {name for name, _, _ in EVENTS} - {event}
    if of is None:
        assert all(happened(Seen.of(score(dealings=dealings)), each) == 0 for each in others)


@pytest.mark.parametrize("status", ["renewed", "plan_changed", "settled", "activated"])
def test_states_of_the_account_are_events(status: Happening) -> None:
    then = score(step=1, profile=Profile(status=status))
    assert len(Told(Happened(event=status))(score(), then)) == 1


def test_another_product_is_another_event() -> None:
    told = Told(Happened(event="purchase", of="phone"))
    assert told(score(), dealt(1, products={"case": T0})) == []


def test_a_balance_falls_once_until_it_was_filled() -> None:
    told = Told(Falls(level="balance", threshold=2.0, rearm_from=5.0))
    assert told(balance(0, None), balance(1, 1.0)) == []  # from nowhere
    assert told(balance(2, 9.0), balance(3, 2.0)) == []
    (first,) = told(balance(4, 1.99))
    assert first.trigger == "balance falling below 2"
    assert told(balance(5, 4.99), balance(6, 0.0)) == []
    (again,) = told(balance(7, 5.0), balance(8, 0.0))
    assert again.number == 2


def test_a_risk_that_rises_fast_counts_by_what_it_was_a_week_ago() -> None:
    told = Told(Rises(level="risk_rise_7d", threshold=0.25, rearm_below=0.1))
    assert told(score(risk=0.5), score(risk=0.6, step=1, risk_7d_ago=0.36)) == []
    assert len(told(score(risk=0.6, step=2, risk_7d_ago=0.34))) == 1
    assert told(score(risk=0.6, step=3, risk_7d_ago=0.45)) == []
    low, high = (
        score(risk=0.6, step=4 + n, risk_7d_ago=each) for n, each in enumerate((0.55, 0.3))
    )
    assert len(told(low, high)) == 1


def uses(step: int, **rates: tuple[float, float]) -> Any:  # noqa: ANN401
    services = {name: ServiceUse(T0, 1.0, *each) for name, each in rates.items()}
    return score(step=step, dealings=Dealings(services=services))


def test_use_falls_by_what_is_usual_for_the_customer_and_for_the_service_that_is_named() -> None:
    data = Told(Falls(level="usage_ratio", threshold=0.5, rearm_from=0.8, of="data"))
    assert data(uses(0, data=(10, 10), voice=(1, 1)), uses(1, data=(6, 10), voice=(0, 1))) == []
    assert len(data(uses(2, data=(4, 10), voice=(1, 1)))) == 1
    anything = Told(Falls(level="usage_ratio", threshold=0.5, rearm_from=0.8))
    assert anything(uses(0, data=(10, 10), voice=(1, 1)), uses(1, data=(4, 10), voice=(1, 1))) == []
    assert len(anything(uses(2, data=(4, 10), voice=(0.2, 1)))) == 1
    assert usage_ratio(Dealings()) is None


BORN = round(datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp() * 1000)


def test_an_anniversary_is_the_same_day_and_a_leap_day_the_day_before() -> None:
    for years, wanted in ((1, (2025, 2, 28)), (4, (2028, 2, 29)), (5, (2029, 2, 28))):
        at = datetime.fromtimestamp(years_after(BORN, years) / 1000, UTC)
        assert (at.year, at.month, at.day, at.hour) == (*wanted, 12)


def test_every_year_time_alone_makes_an_anniversary_due_once() -> None:
    told = Told(Anniversary())
    start = years_after(BORN, 2) + 40 * DAY
    assert told(score(at=start, first_activity=BORN)) == []
    (third,) = told(until=years_after(BORN, 3) + DAY)
    assert (third.at, third.number) == (years_after(BORN, 3), 3)
    assert told(until=years_after(BORN, 4) - 1) == []
    told.restarted()  # which knows of the last score alone, from before the third
    fourth = told(until=years_after(BORN, 5))
    assert [each.at for each in fourth] == [years_after(BORN, 4), years_after(BORN, 5)]
    assert [each.number for each in fourth] == [4, 5]


def test_an_anniversary_may_be_told_of_ahead_and_not_long_after() -> None:
    told = Told(Anniversary(lead_ms=7 * DAY))
    told(score(at=BORN + DAY, first_activity=BORN))
    (first,) = told(until=years_after(BORN, 1))
    assert first.at == years_after(BORN, 1) - 7 * DAY
    late = Told(Anniversary(include_existing=True))
    assert late(score(at=years_after(BORN, 1) + 3 * DAY, first_activity=BORN)) == []
    soon = Told(Anniversary(include_existing=True))
    assert len(soon(score(at=years_after(BORN, 1) + HOUR, first_activity=BORN))) == 1


def test_who_was_never_active_has_no_anniversary() -> None:
    assert Told(Anniversary())(score(first_activity=0), until=T0 + 800 * DAY) == []


@given(st.integers(0, 5_000 * DAY), st.integers(0, 3_000), st.sampled_from([0, 3 * DAY]))
def test_the_next_anniversary_is_ahead_and_at_most_a_year(born: int, days: int, lead: int) -> None:
    trigger, at = Anniversary(lead_ms=lead), born + 1 + days * DAY
    seen = Seen.of(score(at=at, first_activity=born + 1))
    due = trigger.next_due(seen)
    assert due is not None
    assert at < due <= at + 366 * DAY
