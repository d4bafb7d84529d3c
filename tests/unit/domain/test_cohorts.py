"""Retention by cohort: by hand, against a count of each month by itself, and sums."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.acquisition import Acquired, Source
from shared.domain.cohorts import COHORTS_BY, Cohort, CohortBy, cohorts

NOW = datetime(2026, 5, 10, tzinfo=UTC)


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def acquired(first: datetime | None, last: datetime | None, source: str | None = None) -> Acquired:
    return Acquired(
        customer="c",
        first_activity=0 if first is None else ms(first),
        last_activity=0 if last is None else ms(last),
        spend=0.0,
        revenue=0.0,
        margin=0.0,
        profile=Source(acquisition_source=source),
    )


def day(month: int, number: int = 15, year: int = 2026) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


BASE = [
    acquired(day(12, 31, 2025), day(5, 2), "shop"),  # age 5, active to the end
    acquired(day(12, 1, 2025), day(1, 1), "web"),  # age 5, last seen a month later
    acquired(day(4, 1), day(4, 30), "web"),  # age 1: only the month of acquisition has ended
    acquired(day(5, 9), day(5, 9)),  # came in the month that is not over
    acquired(None, None, "web"),  # a prospect
]


def test_by_month_of_acquisition() -> None:
    assert cohorts(BASE, "month", ms(NOW)) == [
        Cohort("2025-12", 2, [2, 2, 2, 2, 2], [2, 2, 1, 1, 1]),
        Cohort("2026-04", 1, [1], [1]),
        Cohort("2026-05", 1, [1], [1]),
    ]


def test_by_source_only_those_count_in_a_month_who_are_old_enough() -> None:
    assert cohorts(BASE, "source", ms(NOW)) == [
        Cohort("none", 1, [1], [1]),
        Cohort("shop", 1, [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        Cohort("web", 2, [2, 1, 1, 1, 1], [2, 1, 0, 0, 0]),
    ]


def test_months_are_those_of_the_calendar_in_utc() -> None:
    last_second = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    first_second = datetime(2026, 2, 1, tzinfo=UTC)
    found = cohorts([acquired(last_second, first_second)], "month", ms(day(4)))
    assert found == [Cohort("2026-01", 1, [1, 1, 1], [1, 1, 0])]


@pytest.mark.parametrize("by", COHORTS_BY)
def test_nobody_is_no_cohort(by: CohortBy) -> None:
    assert cohorts([], by, ms(NOW)) == []


@st.composite
def lives(draw: st.DrawFn) -> Acquired:
    first = draw(st.datetimes(datetime(2024, 1, 1), NOW.replace(tzinfo=None)))  # noqa: DTZ001
    left = NOW - (came := first.replace(tzinfo=UTC))
    last = came + left * draw(st.floats(0.0, 1.0))
    known = draw(st.booleans())
    return acquired(came if known else None, last if known else None, draw(st.sampled_from("ab")))


def active_in_or_after(life: Acquired, k: int) -> bool:
    """Count months one by one: from the first of one to the first of the next."""
    start = datetime.fromtimestamp(life.first_activity / 1000, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    for _ in range(k):
        start = (start + timedelta(days=32)).replace(day=1)
    return life.last_activity >= ms(start)


@given(st.lists(lives(), max_size=30), st.sampled_from(COHORTS_BY), st.randoms())
def test_everybody_who_was_active_is_in_one_cohort(
    base: list[Acquired], by: CohortBy, random: object
) -> None:
    found = cohorts(base, by, ms(NOW))
    came = [each for each in base if each.first_activity]
    assert sum(each.customers for each in found) == len(came)
    assert sum(each.retained[0] for each in found) == len(came)
    random.shuffle(base)  # type: ignore[attr-defined]
    assert cohorts(base, by, ms(NOW)) == found
    for k in range(max((len(each.reached) for each in found), default=0)):
        reached = [each for each in came if len_of(each) > k]
        assert sum(each.reached[k] for each in found if k < len(each.reached)) == len(reached)
        kept = sum(each.retained[k] for each in found if k < len(each.retained))
        assert kept == sum(active_in_or_after(each, k) for each in reached)


def len_of(life: Acquired) -> int:
    """Return how many months are counted of a life: those that ended before that of now."""
    first = datetime.fromtimestamp(life.first_activity / 1000, UTC)
    return max((NOW.year - first.year) * 12 + NOW.month - first.month, 1)
