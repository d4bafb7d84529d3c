"""The base in groups, and money that adds up."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.base_report import BY, NONE, Group, Member, group
from shared.domain.outputs import Profile


def member(**facts: object) -> Member:
    known = Member(
        stage="maturity", last_activity=1_000, visits=1, spend=0.0, revenue=0.0, margin=0.0,
        cost=0.0, closed=False, profile=Profile(),
    )  # fmt: skip
    return msgspec.structs.replace(known, **facts)


# -- groups


def names_of(groups: list[Group]) -> dict[str, int]:
    return {each.name: each.customers for each in groups}


def test_segments_and_value_bands_are_those_of_the_scores() -> None:
    base = [member(segment="loyal", value_band=2), member(segment="loyal"), member(value_band=2)]
    assert names_of(group(base, "rfm")) == {"loyal": 2, NONE: 1}
    assert names_of(group(base, "value")) == {"2": 2, NONE: 1}


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
