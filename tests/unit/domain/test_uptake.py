"""Which product is taken up next, against what one would count by hand."""

import doctest
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import uptake as module
from shared.domain.dealings import Dealings
from shared.domain.policy import DAY_MS
from shared.domain.uptake import MOST_HELD, PRIOR, Held, Uptake, hold, learned

NOW = 1_000 * DAY_MS
PRODUCTS = ["a", "b", "c", "d"]
days_ago = st.integers(0, 200)
customers = st.lists(
    st.dictionaries(st.sampled_from(PRODUCTS), days_ago.map(lambda days: NOW - days * DAY_MS)),
    max_size=12,
)


def test_examples_are_true() -> None:
    assert doctest.testmod(module).failed == 0


def by_hand(base: list[Held], product: str, held: str | None = None) -> float:
    """Return h(j), or h(j | i), by its definition."""
    everybody = [each for each in base if each]
    weights = {
        number: 2.0 ** (-(NOW - each[product]) / DAY_MS / 30)
        for number, each in enumerate(everybody)
        if product in each
    }
    usual = sum(weights.values()) / (len(everybody) - len(weights) + PRIOR)
    if held is None:
        return usual
    who = [number for number, each in enumerate(everybody) if held in each]
    after = [
        weights[number]
        for number in who
        if number in weights and everybody[number][held] < everybody[number][product]
    ]
    without = [number for number in who if number not in weights]
    return (sum(after) + PRIOR * usual) / (len(without) + PRIOR)


@given(customers, st.lists(st.sampled_from(PRODUCTS), unique=True, max_size=3))
def test_it_is_what_one_would_count(base: list[Held], recent: list[str]) -> None:
    known = sorted({product for held in base for product in held})
    recent = [each for each in recent if each in known]
    found = learned(base, NOW).next_of(recent, recent, NOW, len(PRODUCTS))
    assert {each.product for each in found} == set(known) - set(recent)
    for each in found:
        usual = by_hand(base, each.product)
        mine = [by_hand(base, each.product, held) for held in recent] or [usual]
        mean = sum(mine) / len(mine)
        assert each.rate == pytest.approx(mean * 0.6931471805599453)
        assert each.lift == pytest.approx(mean / usual)
    rates = [each.rate for each in found]
    assert rates == sorted(rates, reverse=True)


@given(customers)
def test_a_life_at_once_is_the_same_as_moment_by_moment(base: list[Held]) -> None:
    at_once, bit_by_bit = learned(base, NOW), Uptake(learned(base, NOW).products, NOW)
    for held in base:
        before: list[str] = []
        for at in sorted(set(held.values())):
            new = [product for product, when in held.items() if when == at]
            bit_by_bit.take_up(before, new, at)
            before += new
    for recent in ([], ["a"], ["b", "c"]):
        one, other = (each.next_of(recent, [], NOW, 9) for each in (at_once, bit_by_bit))
        assert [each.product for each in one] == [each.product for each in other]
        assert [each.rate for each in one] == pytest.approx([each.rate for each in other])


@given(customers, st.randoms(use_true_random=False))
def test_the_order_of_customers_does_not_count(base: list[Held], random: Random) -> None:
    shuffled = base.copy()
    random.shuffle(shuffled)
    one, other = (learned(each, NOW).next_of(["a"], [], NOW, 9) for each in (base, shuffled))
    rates = {each.product: each.rate for each in other}
    assert {each.product: each.rate for each in one} == pytest.approx(rates, rel=1e-9)


def test_what_was_taken_up_of_late_comes_before_what_most_have() -> None:
    had: list[Held] = [{"phone": NOW - 700 * DAY_MS} for _ in range(90)]
    fresh: list[Held] = [{"watch": NOW - DAY_MS} for _ in range(10)]
    found = learned(had + fresh, NOW).next_of([], [], NOW, 1)
    assert [each.product for each in found] == ["watch"]


def test_what_is_taken_up_behind_a_product_follows_it() -> None:
    base: list[Held] = []
    for number in range(200):
        first, second = ("phone", "cover") if number % 4 == 0 else ("fridge", "kettle")
        base.append({first: NOW - 40 * DAY_MS, second: NOW - 10 * DAY_MS})
        base.append({first: NOW - 40 * DAY_MS})
    uptake, firsts = learned(base, NOW), ["fridge", "phone"]
    assert [each.product for each in uptake.next_of([], firsts, NOW, 1)] == ["kettle"]
    (cover,) = uptake.next_of(["phone"], firsts, NOW, 1)
    assert cover.product == "cover"
    assert cover.lift > 2


def test_the_products_that_most_hold_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PRODUCTS", 2)
    base = [dict.fromkeys(pair, NOW) for pair in combinations("abb", 2)] + [{"c": NOW}]
    assert learned(base, NOW).products == ["a", "b"]


bought = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 50), max_size=8)


@given(st.lists(bought, max_size=10))
def test_a_product_is_held_from_when_it_was_first_told(scores: list[dict[str, int]]) -> None:
    held: Held | None = None
    expected: dict[str, int] = {}
    for products in scores:
        held = hold(held, Dealings(products=products))
        expected = {**products, **expected}
        again = hold(held, Dealings(products=dict(reversed(products.items()))))
        assert again is held
    assert (held or {}) == expected


def test_what_is_held_has_an_end() -> None:
    held: Held | None = None
    for number in range(MOST_HELD - 1):
        held = hold(held, Dealings(products={f"p{number}": number + 1}))
    last = MOST_HELD - 1
    held = hold(held, Dealings(products={"later": MOST_HELD + 2, f"p{last}": MOST_HELD}))
    assert hold(held, Dealings(products={f"p{MOST_HELD}": MOST_HELD + 1})) is held
    assert held is not None
    assert len(held) == MOST_HELD
    assert f"p{last}" in held
