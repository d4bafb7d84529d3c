"""Streaming metrics against their textbook definitions."""

import json
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.domain.evaluation import BLOCK, BLOCKS, Prequential, Tally

Floats = NDArray[np.float64]
Pairs = list[tuple[float, bool]]

pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


def tally_of(examples: Iterable[tuple[float, bool]]) -> Tally:
    tally = Tally()
    for p, y in examples:
        tally.update(p, y)
    return tally


def sample(n: int = 4000, seed: int = 3) -> tuple[Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.9, n)
    return p, rng.random(n) < p**1.3


def test_metrics_equal_their_definitions() -> None:
    p, y = sample()
    tally = tally_of(zip(p.tolist(), y.tolist(), strict=True))
    wins = (p[y][:, None] > p[~y]).mean() + 0.5 * (p[y][:, None] == p[~y]).mean()
    assert tally.auc() == pytest.approx(wins, abs=1e-4)
    order = np.argsort(-p)
    precision = np.cumsum(y[order]) / np.arange(1, len(p) + 1)
    assert tally.pr_auc() == pytest.approx(precision[y[order]].mean(), abs=1e-3)
    clipped = np.clip(p, 1e-4, 1 - 1e-4)
    assert tally.log_loss() == pytest.approx(-np.log(np.where(y, clipped, 1 - clipped)).mean())
    assert tally.brier() == pytest.approx(((p - y) ** 2).mean())
    bins = np.minimum((p * 10).astype(int), 9)
    ece = sum(abs((p - y)[bins == b].sum()) for b in range(10)) / len(p)
    assert tally.ece() == pytest.approx(ece)
    assert tally.base_rate() == pytest.approx(y.mean())
    assert sum(n for n, _, _ in tally.reliability()) == len(p)


def test_ties_count_half() -> None:
    assert tally_of([(0.5, True), (0.5, False)]).auc() == 0.5


@pytest.mark.parametrize("examples", [[], [(0.3, True)], [(0.3, False)]])
def test_one_class_has_no_ranking(examples: Pairs) -> None:
    assert math.isnan(tally_of(examples).auc())
    assert math.isnan(tally_of(examples).pr_auc())


@given(pairs, pairs)
def test_merge_is_update_with_both(left: Pairs, right: Pairs) -> None:
    merged, both = tally_of(left), tally_of(left + right)
    merged.merge(tally_of(right))
    assert merged.report() == pytest.approx(both.report(), nan_ok=True)


@given(pairs, pairs)
def test_dump_travels_as_json_and_goes_on(before: Pairs, after: Pairs) -> None:
    metrics = Prequential()
    for p, y in before:
        metrics.update(p, y)
    restored = Prequential.load(json.loads(json.dumps(metrics.dump())))
    for p, y in after:
        metrics.update(p, y)
        restored.update(p, y)
    assert restored.dump() == metrics.dump()


def test_recent_window_forgets() -> None:
    metrics = Prequential()
    for _ in range(BLOCK * BLOCKS):
        metrics.update(0.1, True)
    for _ in range(BLOCK * BLOCKS):
        metrics.update(0.1, False)
    assert metrics.recent().base_rate() == 0.0
    assert metrics.recent().n == BLOCK * BLOCKS
    assert metrics.total.base_rate() == 0.5
