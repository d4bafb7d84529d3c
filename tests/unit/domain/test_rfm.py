"""Quintiles of a base, the names of segments, and what goes with them."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.dealings import ServiceUse
from shared.domain.errors import InvalidEventError
from shared.domain.events import decode_event
from shared.domain.features import DAY_MS
from shared.domain.rfm import (
    LEAST,
    SEGMENTS,
    Asked,
    Boundaries,
    Ranked,
    Rate,
    Scores,
    boundaries,
    named,
)
from tests.unit.domain.histories import T0, Json
from tests.unit.domain.histories import boundaries as control


def ranked(visits: float = 1, spend: float = 0.0, silence: float = 0.0, **facts: object) -> Ranked:
    known = Ranked(at=T0, features=[silence], visits=int(visits), spend=spend, closed=False)
    return msgspec.structs.replace(known, **facts)


def known(base: list[Ranked], now: int = T0) -> Boundaries:
    found = boundaries(base, now)
    assert found is not None
    return found


@given(st.lists(st.integers(0, 10**6), min_size=LEAST, max_size=200))
def test_a_quintile_holds_a_fifth_but_for_those_who_are_equal(values: list[int]) -> None:
    """In each dimension; of recency, 5 are those who were silent for the shortest time."""
    found = known([ranked(1 + value, float(value), float(value)) for value in values])
    numbers = np.array(values, np.float64)
    scores = found.score(numbers, 1 + numbers, numbers)
    for rank, quintile in ((-numbers, scores.recency), (numbers, scores.frequency),
                           (numbers, scores.monetary)):  # fmt: skip
        for k in range(1, 6):
            # at most k fifths are in the first k quintiles, unless the last of them are equal
            within = np.sort(rank[quintile <= k])
            assert np.count_nonzero(within < within[-1:]) <= k * len(values) / 5
        assert (np.diff(quintile[np.argsort(rank, kind="stable")]) >= 0).all()
        assert all(len(set(quintile[rank == each].tolist())) == 1 for each in rank)


@pytest.mark.parametrize(
    ("recency", "frequency", "monetary", "segment"),
    [
        (5, 5, 5, "champions"),
        (4, 4, 3, "champions"),
        (5, 3, 3, "loyal"),
        (3, 5, 5, "loyal"),
        (5, 1, 1, "new"),
        (4, 2, 1, "potential"),
        (3, 1, 1, "potential"),
        (2, 4, 4, "at_risk"),
        (1, 5, 5, "at_risk"),
        (2, 1, 2, "hibernating"),
        (1, 1, 1, "lost"),
    ],
)
def test_segments_by_recency_and_by_frequency_and_money(
    recency: int, frequency: int, monetary: int, segment: str
) -> None:
    scores = Scores(*(np.array([each]) for each in (recency, frequency, monetary)))
    assert SEGMENTS[named(scores)[0]] == segment


def test_in_a_base_of_one_time_buyers_nobody_is_said_to_come_often() -> None:
    found = known([ranked(spend=float(n)) for n in range(LEAST)])
    assert found.score(np.zeros(1), np.ones(1), np.zeros(1)).frequency.tolist() == [1]


def test_who_was_never_active_or_has_left_does_not_count() -> None:
    base = [ranked(n + 1, float(n)) for n in range(LEAST)]
    others = [ranked(0, 9e9), ranked(99, 9e9, closed=True)]
    assert known([*base, *others]) == known(base)
    assert known(base).customers == LEAST


def test_a_base_that_is_too_small_has_none() -> None:
    assert boundaries([ranked()] * (LEAST - 1), T0) is None


def test_silence_goes_on_behind_the_score_unless_the_account_is_paused() -> None:
    base = [ranked(silence=1.0)] * LEAST
    assert known(base, T0 + 2 * DAY_MS).silence_days == (3.0,) * 4
    paused = [ranked(silence=1.0, dealings=Asked(paused_at=T0))] * LEAST
    assert known(paused, T0 + 2 * DAY_MS).silence_days == (1.0,) * 4


def test_heavy_use_is_what_a_fifth_of_the_users_exceed() -> None:
    base = [ranked(dealings=Asked({"voice": Rate(float(n + 1))})) for n in range(LEAST)]
    found = known([*base, ranked(dealings=Asked({"data": Rate(1e6)}))])
    assert found.services == {"voice": 20.0}
    uses = {
        name: ServiceUse(last=T0, quantity=1.0, per_day_30=rate, per_day_90=rate)
        for name, rate in {"voice": 20.5, "data": 2e6}.items()
    }
    assert found.heavily_used(uses) == ["voice"]
    assert (
        found.heavily_used({"voice": msgspec.structs.replace(uses["voice"], per_day_30=20.0)}) == []
    )


def test_value_bands_are_fifths_of_those_worth_something() -> None:
    found = known([ranked(clv=float(n)) for n in range(LEAST + 1)])
    assert [found.value_band(clv) for clv in (0.0, 0.5, 5.0, 5.5, 20.0, 20.5)] == [0, 1, 1, 2, 4, 5]
    assert Boundaries().value_band(5.0) == 0


@pytest.mark.parametrize(
    "wrong", [{"visits": [2, 1, 3, 4]}, {"silence_days": [1, 2, 3, 4]}, {"clv": [1, 2, 3]}]
)
def test_boundaries_out_of_order_are_refused(wrong: Json) -> None:
    with pytest.raises(InvalidEventError):
        decode_event(msgspec.json.encode(control(T0, 1, **wrong)))
