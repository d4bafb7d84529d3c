"""The base in groups: quintiles, the names of segments, and money that adds up."""

from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.base_report import BY, NONE, Group, Member, group
from shared.domain.outputs import Profile
from shared.domain.rfm import SEGMENTS, Scores, named, quintiles


def member(**facts: object) -> Member:
    known = Member(
        stage="maturity", last_activity=1_000, visits=1, spend=0.0, revenue=0.0, margin=0.0,
        cost=0.0, closed=False, profile=Profile(),
    )  # fmt: skip
    return msgspec.structs.replace(known, **facts)


# -- quintiles


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200))
def test_a_quintile_holds_a_fifth_but_for_those_who_are_equal(values: list[float]) -> None:
    found = quintiles(np.array(values))
    for k in range(1, 6):
        # at most k fifths are in the first k quintiles, unless the last of them are equal
        within = sorted(value for value, q in zip(values, found, strict=True) if q <= k)
        distinct = [value for value in within if value < within[-1]] if within else []
        assert len(distinct) <= k * len(values) / 5
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


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


# -- groups


def names_of(groups: list[Group]) -> dict[str, int]:
    return {each.name: each.customers for each in groups}


def test_rfm_segments_of_a_base() -> None:
    recent = [member(last_activity=900 + n, visits=20 + n, spend=500.0 + n) for n in range(40)]
    gone = [member(last_activity=100 + n, visits=1, spend=1.0) for n in range(60)]
    never = member(last_activity=0, visits=0)
    closed = member(last_activity=5_000, visits=99, spend=9e9, closed=True)
    found = names_of(group([*recent, *gone, never, closed], "rfm"))
    # the 40 are the upper two quintiles of all three; of the others, a third each
    assert found == {"champions": 40, "lost": 20, "hibernating": 20, "potential": 20, NONE: 2}


def test_value_bands_are_fifths_of_those_worth_something() -> None:
    base = [member(clv=float(n)) for n in range(11)]
    assert names_of(group(base, "value")) == {"1": 2, "2": 2, "3": 2, "4": 2, "5": 2, NONE: 1}


@pytest.mark.parametrize("fact", ["market", "brand", "plan", "acquisition_source"])
def test_groups_by_what_is_known_of_customers(fact: str) -> None:
    known = [member(profile=Profile(**{fact: name})) for name in ("a", "b", "a")]
    assert names_of(group([*known, member()], fact)) == {"a": 2, "b": 1, NONE: 1}  # type: ignore[arg-type]


@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=40),
    st.sampled_from(BY),
    st.randoms(use_true_random=False),
)
def test_money_is_exact_in_any_order_and_nobody_is_left_out(
    amounts: list[int], by: str, random: Random
) -> None:
    base = [
        member(revenue=each / 1e6, margin=each / 2e6, cost=abs(each) / 1e6, clv=max(each, 0) / 1e6)
        for each in amounts
    ]
    shuffled = random.sample(base, len(base))
    assert group(base, by) == group(shuffled, by)  # type: ignore[arg-type]
    found = group(base, by)  # type: ignore[arg-type]
    assert sum(each.customers for each in found) == len(base)
    total = sum(round(each.revenue * 1e6) for each in found)
    assert total == sum(amounts)


def test_an_empty_base_has_no_groups() -> None:
    assert [group([], by) for by in BY] == [[]] * len(BY)
