"""Metrics by market: of whom, how many, and the same after a restart."""

import doctest
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import markets as module
from shared.domain.evaluation import BLOCK, Tally
from shared.domain.markets import OTHERS, PLACES, Markets

FEW = 3
names = st.sampled_from(["", "de", "fr", "gb", "nl", "us", OTHERS])
labels = st.lists(st.tuples(names, st.floats(0, 1), st.booleans()), max_size=80)


@pytest.fixture(autouse=True)
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", FEW)


def learned(found: list[tuple[str, float, bool]], markets: Markets | None = None) -> Markets:
    markets = markets or Markets()
    for label in found:
        markets.update(*label)
    return markets


def test_examples_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert doctest.testmod(module).failed == 0


@given(labels)
def test_a_market_with_more_than_its_share_of_labels_has_metrics(
    found: list[tuple[str, float, bool]],
) -> None:
    told = [name for name, _ in learned(found).tallies()]
    assert len(told) <= FEW + 1
    counts = Counter(name or "none" for name, _, _ in found)
    del counts[OTHERS]
    large = {name for name, count in counts.items() if count > counts.total() / (FEW + 1)}
    assert large <= set(told)


@given(st.lists(st.tuples(st.sampled_from(["", "de", OTHERS]), st.floats(0, 1), st.booleans())))
def test_what_is_told_of_a_market_is_of_its_labels_alone(
    found: list[tuple[str, float, bool]],
) -> None:
    told = dict(learned(found).tallies())
    for name in {name for name, _, _ in found}:
        alone = Tally()
        for market, p, y in found:
            if market == name:
                alone.update(p, y)
        assert told.pop(name or "none").dump() == alone.dump()
    assert told == {}


@given(labels, st.integers(0, 80))
def test_a_restart_changes_nothing(found: list[tuple[str, float, bool]], cut: int) -> None:
    never_stopped = learned(found)
    stored = json.loads(json.dumps(learned(found[:cut]).dump(), sort_keys=True))
    resumed = learned(found[cut:], Markets.load(stored))
    assert resumed.dump() == never_stopped.dump()


def test_the_others_are_counted_together() -> None:
    large = [(name, 0.9, True) for name in ("de", "fr", "gb") for _ in range(9)]
    small = [(f"m{number}", 0.1, False) for number in range(5)]
    told = dict(learned(large + small).tallies())
    assert {name: tally.n for name, tally in told.items()} == {"de": 9, "fr": 9, "gb": 9, OTHERS: 5}
    assert told[OTHERS].base_rate() == 0


def test_who_grows_takes_the_place_of_who_has_left() -> None:
    before = [(name, 0.5, True) for name in ("de", "fr", "gb") for _ in range(9)]
    growing = [("us", 0.5, True)] * 30
    told = dict(learned(before + growing).tallies())
    assert told["us"].n == 30 - 9
    assert learned(before + growing).tallies()[0][0] == "us"


def test_the_newest_labels_of_each_market_count() -> None:
    found = [("de", 0.9, True)] * (2 * BLOCK) + [("de", 0.9, False)] * (BLOCK + 1)
    ((_, tally),) = learned(found).tallies()
    assert tally.n == BLOCK + 1
    assert tally.base_rate() == 0


def test_a_snapshot_of_before_has_none() -> None:
    assert Markets.load({}).tallies() == []


def test_labels_of_metrics_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", PLACES)
    found = [(f"m{number % 997}", 0.5, True) for number in range(5_000)]
    assert len(learned(found).tallies()) <= 21
