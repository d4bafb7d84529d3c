"""Quiet hours by the clock on the customer's wall, in the nights when clocks change as well."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.quiet_hours import QUARTER_MS, QuietHours, known_zone

NIGHT = QuietHours(21 * 60, 8 * 60)
ZONES = ["UTC", "Europe/London", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
YEAR = st.integers(1_767_225_600_000, 1_798_761_600_000)  # 2026


def ms(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "quiet"),
    [("20:59:59", False), ("21:00", True), ("23:59", True), ("00:00", True), ("07:59:59", True),
     ("08:00", False), ("12:00", False)],
)  # fmt: skip
def test_a_night_goes_over_midnight(at: str, quiet: bool) -> None:
    moment = ms(f"2026-07-01T{at}", "Europe/London")
    assert NIGHT.is_quiet(moment, "Europe/London") is quiet


def test_hours_within_a_day_do_not_go_over_midnight() -> None:
    siesta = QuietHours(13 * 60, 15 * 60)
    assert siesta.is_quiet(ms("2026-07-01T14:00", "Europe/Madrid"), "Europe/Madrid")
    assert not siesta.is_quiet(ms("2026-07-01T01:00", "Europe/Madrid"), "Europe/Madrid")


@pytest.mark.parametrize(
    ("night", "hours"),
    [("2026-03-28", 10), ("2026-10-24", 12), ("2026-06-15", 11)],
)
def test_a_night_is_as_long_as_it_is(night: str, hours: int) -> None:
    """Europe's clocks go forward on 29 March 2026 and back on 25 October."""
    start = ms(f"{night}T21:00", "Europe/London")
    opening = NIGHT.opening(start, "Europe/London")
    assert opening is not None
    assert opening - start == hours * 3_600_000
    assert datetime.fromtimestamp(opening / 1000, ZoneInfo("Europe/London")).hour == 8


@given(YEAR, st.sampled_from(ZONES), st.integers(0, 95), st.integers(0, 95))
def test_opening_and_closing_are_the_next_changes(at: int, zone: str, start: int, end: int) -> None:
    hours = QuietHours(start * 15, (end if end != start else (end + 1) % 96) * 15)
    opening = hours.opening(at, zone)
    assert (opening is not None) is hours.is_quiet(at, zone)
    change = hours.closing(at, zone) if opening is None else opening
    assert change > at
    assert hours.is_quiet(change, zone) is (opening is None)
    between = range(at // QUARTER_MS + 1, change // QUARTER_MS)
    assert all(hours.is_quiet(each * QUARTER_MS, zone) is (opening is not None) for each in between)


def test_zones_are_told_from_nonsense() -> None:
    assert known_zone("Asia/Tokyo")
    for name in (None, "", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe"):
        assert not known_zone(name)


def test_utc_is_where_nothing_is_known() -> None:
    at = int(datetime(2026, 1, 1, 22, tzinfo=UTC).timestamp() * 1000)
    assert NIGHT.is_quiet(at, "UTC")
