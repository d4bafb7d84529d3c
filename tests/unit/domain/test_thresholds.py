"""Thresholds of the lifecycle come through the log, and may be a market's own."""

import msgspec
import pytest

from shared.domain.errors import InvalidEventError
from shared.domain.events import decode_event
from shared.domain.lifecycle import STAGES
from shared.domain.thresholds import MOST_MARKETS, LifecycleThresholds, Thresholds
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    account,
    live,
    partition,
    purchase,
    restored,
    row_of,
    run,
    states,
    thresholds,
    tick,
)
from tests.unit.domain.test_lifecycle import DAY_MS, moves

SLOW = {"onboarding_days": 40.0}


def newcomers(*control: Json) -> list[Json]:
    """Return two customers of different markets, active on each of fifty days."""
    daily = [
        purchase(customer, T0 + day * DAY_MS + HOUR_MS)
        for day in range(50)
        for customer in ("at-home", "abroad")
    ]
    known = [
        account("at-home", T0 + 1, "activated", market="US"),
        account("abroad", T0 + 1, "activated", market="GB"),
    ]
    events = [*control, *known, *daily]
    return [*sorted(events, key=lambda one: one["time"]), tick(T0 + 50 * DAY_MS)]


def days_of_onboarding(events: list[Json]) -> dict[str, int]:
    return {
        move.customer: round(move.lasted_ms / DAY_MS)
        for move in moves(events)
        if move.before == "onboarding"
    }


def test_a_market_has_thresholds_of_its_own() -> None:
    control = thresholds(T0, 1, GB=SLOW)
    assert days_of_onboarding(newcomers(control)) == {"at-home": 21, "abroad": 40}


def test_they_hold_from_their_place_in_the_log_on() -> None:
    assert days_of_onboarding(newcomers()) == {"at-home": 21, "abroad": 21}
    late = thresholds(T0 + 30 * DAY_MS, 1, GB=SLOW)
    assert days_of_onboarding(newcomers(late)) == {"at-home": 21, "abroad": 21}


def test_the_highest_version_holds_however_often_and_late_the_others_come() -> None:
    several = [thresholds(T0, 2, GB=SLOW), thresholds(T0 + 1, 1), thresholds(T0 + 2, 2)]
    assert days_of_onboarding(newcomers(*several))["abroad"] == 40


def test_a_customer_who_moves_is_seen_as_the_new_market_sees_it() -> None:
    moved = account("at-home", T0 + 2 * HOUR_MS, "activated", market="GB")
    events = newcomers(thresholds(T0, 1, GB=SLOW), moved)
    assert days_of_onboarding(events)["at-home"] == 40


def test_a_restore_goes_on_with_them() -> None:
    records = live(newcomers(thresholds(T0 + 3, 1, GB=SLOW)))
    whole, before = partition(), partition()
    run(whole, records)
    changelog = run(before, records[:40]).changelog
    after = partition(table=restored(changelog, changelog), position=before.position)
    assert after.position.thresholds.version == 1
    run(after, records[40:])
    assert states(after) == states(whole)
    assert STAGES[row_of(after, "abroad")["stage"]] == "growth"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"onboarding_days": 100.0}, "growth_days must be at least"),
        ({"decline_ratio": 1.2}, "decline and grow at once"),
        ({"risk_hysteresis": 0.7}, "nobody recovers"),
        ({"decline_risk": 1.5}, "<= 1.0"),
        ({"dormant_rythms": 2.0}, "unknown field"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_reason(wrong: Json, reason: str) -> None:
    event = msgspec.json.encode(thresholds(T0, 1, GB=wrong))
    with pytest.raises(InvalidEventError, match=reason):
        decode_event(event)


def test_a_row_has_room_for_as_many_markets_as_may_be_told() -> None:
    many = {f"m{number}": Thresholds() for number in range(MOST_MARKETS)}
    assert LifecycleThresholds(1, markets=many).code(f"m{MOST_MARKETS - 1}") == 255
