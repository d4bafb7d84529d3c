"""What became of customers who stood alike: a share of what is said of those on plans."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.churn import ChurnModel
from shared.domain.configuration import CHAMPION
from shared.domain.features import Floats
from shared.domain.hazard import Steps, facts_of, prior
from shared.domain.long_run import LongRun
from tests.unit.domain.teaching import AT, customers

STEPS = Steps.of(28.0)


def on_plans(n: int, seed: int = 1) -> Floats:
    x = customers(n, seed)
    x[:, AT["plan"]] = 7.0
    return x


def cyclic(x: Floats, seed: int = 2) -> list[bool]:
    """Who has been silent for a month comes now, as the heuristic would not think."""
    late = x[:, AT["recency"]] > 28.0
    p = np.where(late, 0.1, 0.7)
    return (np.random.default_rng(seed).random(len(x)) < p).tolist()


def heuristic(x: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-prior(facts_of(x), STEPS)))
    return found


def loss(p: Floats, y: list[bool]) -> float:
    return float(-np.log(np.where(y, p, 1.0 - p)).mean())


def taught(x: Floats, y: list[bool]) -> LongRun:
    model = LongRun(STEPS)
    model.learn(x, y)
    return model


def test_it_finds_what_the_heuristic_does_not_think_of() -> None:
    x, later = on_plans(4000), on_plans(1000, seed=9)
    table = taught(x, cyclic(x)).table(0.5)
    assert table is not None
    y = cyclic(later, seed=10)
    best = loss(np.where(later[:, AT["recency"]] > 28.0, 0.1, 0.7), y)
    thought = loss(heuristic(later), y)
    assert thought > best + 1.0
    assert thought - loss(table.predict(later), y) > 0.9 * (thought - best)


def test_before_it_is_better_than_the_heuristic_nothing_is_said() -> None:
    x = on_plans(99)
    model = taught(x, cyclic(x))
    assert model.table(0.5) is None  # too few
    # By turns, where the heuristic says one half: whoever learns is behind each time.
    even = x[[np.abs(prior(facts_of(x), STEPS)).argmin()]].repeat(400, axis=0)
    assert taught(even, [True, False] * 200).table(0.5) is None
    more = on_plans(400, seed=3)
    model.learn(more, cyclic(more))
    assert model.table(0.5) is not None


def test_a_cell_that_saw_little_says_little() -> None:
    """One label moves each of the six by half its surprise over prior and information."""
    x = on_plans(200)
    model = taught(x[:1], [True])
    odds = float(prior(facts_of(x[:1]), STEPS)[0])
    p = 1.0 / (1.0 + np.exp(-odds))
    told = max(p * (1.0 - p), 1e-3)
    effects, seen = (filter(None, model.dump()[name]) for name in ("effects", "seen"))
    assert list(seen) == pytest.approx([told] * 6)
    assert list(effects) == pytest.approx([0.5 * (1.0 - p) / (5.0 + told)] * 6)


def test_who_is_on_no_plan_teaches_nothing() -> None:
    x = customers(300, planned=False)
    assert taught(x, cyclic(x)).dump() == LongRun(STEPS).dump()


def test_families_and_the_never_active_have_cells_of_their_own() -> None:
    x = on_plans(50)
    one = np.repeat(x[x[:, AT["visits"]] > 0][:1], 3, axis=0)
    one[1, AT["family"]] += 1.0
    one[2, AT["visits"]] = 0.0
    model = taught(one, [True] * 3)
    # Of the six, the second shares all but the family's with the first, the third none.
    assert np.count_nonzero(model.dump()["seen"]) == 6 + 1 + 6


@given(cuts=st.lists(st.integers(0, 120), max_size=5), seed=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_many_at_once_are_learned_as_one_by_one(cuts: list[int], seed: int) -> None:
    x = customers(120, seed)
    y = np.array(cyclic(x))
    apart = LongRun(STEPS)
    for some in np.split(np.arange(120), sorted(cuts)):
        apart.learn(x[some], y[some].tolist())
    assert json.dumps(apart.dump()) == json.dumps(taught(x, y.tolist()).dump())


def test_it_goes_on_bit_for_bit_after_a_restore() -> None:
    x, more = on_plans(300), on_plans(300, seed=6)
    model = taught(x, cyclic(x))
    restored = LongRun(STEPS)
    restored.restore(json.loads(json.dumps(model.dump())))
    for each in (model, restored):
        each.learn(more, cyclic(more))
    assert json.dumps(restored.dump()) == json.dumps(model.dump())
    known, same = model.table(0.5), restored.table(0.5)
    assert known is not None
    assert same is not None
    assert known.predict(x).tolist() == same.predict(x).tolist()
    before = known.predict(x).tolist()
    model.learn(more, cyclic(more))
    after = model.table(0.5)
    assert after is not None
    assert known.predict(x).tolist() == before != after.predict(x).tolist()


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_share_of_what_is_said_of_customers_on_plans_comes_from_it(share: float) -> None:
    model = ChurnModel(28.0, replace(CHAMPION, long_run=share))
    x = on_plans(2000)
    scorer = replace(model.scorer(), warm=True)
    assert scorer.long_run is None  # as it is cold
    model.groundwork.long_run.learn(x, cyclic(x))
    table = model.scorer().long_run
    assert table is not None
    mixed = customers(200, seed=8)
    planned = mixed[:, AT["plan"]] > 0
    assert 0 < planned.sum() < 200
    alone, both = (replace(scorer, long_run=each).predict(mixed) for each in (None, table))
    assert both[~planned].tolist() == alone[~planned].tolist()
    expected = (1.0 - share) * alone[planned] + share * table.predict(mixed[planned])
    assert both[planned] == pytest.approx(expected, abs=2e-4)  # clipped before, and after
    assert np.abs(both[planned] - alone[planned]).max() > 0.1


def test_without_a_share_nothing_is_looked_up() -> None:
    x = on_plans(500)
    assert taught(x, cyclic(x)).table(0.0) is None


def test_a_row_is_scored_alike_whatever_stands_beside_it() -> None:
    x = on_plans(500)
    table = taught(x, cyclic(x)).table(0.5)
    assert table is not None
    together = table.predict(x)
    assert [table.predict(x[n : n + 1])[0] for n in range(500)] == together.tolist()
