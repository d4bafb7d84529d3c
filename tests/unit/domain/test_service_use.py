"""Use by service: sums and rates that no order of events changes, of at most eight by name."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.features import DAY_MS
from shared.domain.service_use import OTHER, SERVICES, Use, use
from tests.unit.domain.histories import HOUR_MS, T0

Uses = list[tuple[str, int, float]]


def folded(uses: Uses) -> dict[str, Use]:
    services: dict[str, Use] = {}
    for service, at, quantity in uses:
        use(services, service, at, quantity)
    return services


def plainly(uses: Uses) -> dict[str, tuple[int, float, float, float]]:
    """Return the same by its definition: last, quantity, and the sums decayed as of the last."""
    names = sorted({service for service, _, _ in uses} - {OTHER})[:SERVICES]
    found = {}
    for name in {service if service in names else OTHER for service, _, _ in uses}:
        mine = [(at, q) for s, at, q in uses if (s if s in names else OTHER) == name]
        last = max(at for at, _ in mine)
        decayed = [
            sum(q * 0.5 ** ((last - at) / DAY_MS / half_life) for at, q in mine)
            for half_life in (30, 90)
        ]
        found[name] = (last, sum(q for _, q in mine), *decayed)
    return found  # type: ignore[return-value]


some_uses = st.lists(
    st.tuples(
        st.sampled_from([f"s{n}" for n in range(11)] + [OTHER]),
        st.integers(0, 200 * 24).map(lambda hours: T0 + hours * HOUR_MS),
        st.sampled_from([0.0, 0.1, 1.0, 3.5, 1e6]),
    ),
    min_size=1,
    max_size=40,
)


@given(some_uses, st.randoms(use_true_random=False))
def test_any_order_gives_what_the_definition_gives(uses: Uses, random: Random) -> None:
    mixed = random.sample(uses, len(uses))
    found, expected = folded(mixed), plainly(uses)
    assert set(found) == set(expected)
    for name, (last, quantity, near, far) in expected.items():
        one = found[name]
        assert one.last == last
        assert one.quantity == round(quantity * 1e6)
        assert one.near == pytest.approx(near, rel=1e-9)
        assert one.far == pytest.approx(far, rel=1e-9)


def test_nine_services_are_eight_and_the_rest() -> None:
    for order in list(permutations(range(9)))[::40_000]:
        found = folded([(f"s{n}", T0 + n, float(n)) for n in order])
        assert sorted(found) == sorted([OTHER, *(f"s{n}" for n in range(8))])
        assert found[OTHER] == Use(T0 + 8, 8_000_000, 8.0, 8.0)


@pytest.mark.parametrize("age", [1, 10, 100, 1000])
def test_a_steady_use_has_its_rate_at_any_age(age: int) -> None:
    hourly = [("data", T0 + n * HOUR_MS, 0.5) for n in range(24 * age)]
    told = folded(hourly)["data"].told(T0 + age * DAY_MS, since=T0)
    assert told.quantity == 12.0 * age
    assert told.per_day_30 == pytest.approx(12.0, rel=0.01)
    assert told.per_day_90 == pytest.approx(12.0, rel=0.01)


def test_silence_takes_a_rate_down_and_the_near_one_first() -> None:
    daily = folded([("data", T0 + n * DAY_MS, 1.0) for n in range(400)])["data"]
    at_once, later = (daily.told(T0 + day * DAY_MS, since=T0) for day in (400, 430))
    assert later.per_day_30 == pytest.approx(at_once.per_day_30 / 2, rel=0.01)
    assert later.per_day_90 == pytest.approx(at_once.per_day_90 / 2 ** (1 / 3), rel=0.02)


def test_a_time_before_the_last_use_is_read_as_that() -> None:
    told = folded([("data", T0 + DAY_MS, 1.0)])["data"].told(T0, since=T0)
    assert told.per_day_30 == pytest.approx(1.0, rel=0.02)
