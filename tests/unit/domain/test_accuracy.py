"""Metrics equal what their definitions give when computed pair by pair."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.accuracy import (
    accuracy,
    auc,
    average_precision,
    ranks,
    reliability,
    spearman,
    top_decile_share,
)
from shared.domain.evaluation import Tally

probability = st.sampled_from([0.0001, 0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 0.9999])
pairs = st.lists(st.tuples(probability, st.booleans()), min_size=1, max_size=40)


def split(found: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in found]), np.array([y for _, y in found])


@given(pairs)
def test_auc_is_the_share_of_pairs_in_the_right_order(found: list[tuple[float, bool]]) -> None:
    positives, negatives = ([p for p, y in found if y == wanted] for wanted in (True, False))
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(positives, negatives)]
    expected = sum(wins) / len(wins) if wins else math.nan
    assert auc(*split(found)) == pytest.approx(expected, nan_ok=True)


@given(pairs)
def test_average_precision_sums_precision_over_recall(found: list[tuple[float, bool]]) -> None:
    positives = sum(y for _, y in found)
    expected, recall = 0.0, 0.0
    for threshold in sorted({p for p, _ in found}, reverse=True):
        taken = [y for p, y in found if p >= threshold]
        if positives:
            expected += sum(taken) / len(taken) * (sum(taken) / positives - recall)
            recall = sum(taken) / positives
    one_class = positives in {0, len(found)}
    found_ap = average_precision(*split(found))
    assert found_ap == pytest.approx(math.nan if one_class else expected, nan_ok=True)


@given(pairs)
def test_the_rest_is_as_defined(found: list[tuple[float, bool]]) -> None:
    got = accuracy(*split(found))
    n = len(found)
    assert got.n == n
    assert got.base_rate == pytest.approx(sum(y for _, y in found) / n)
    assert got.brier == pytest.approx(sum((p - y) ** 2 for p, y in found) / n)
    losses = [-math.log(p if y else 1 - p) for p, y in found]
    assert got.log_loss == pytest.approx(sum(losses) / n)
    tenths: dict[int, list[tuple[float, bool]]] = {}
    for p, y in found:
        tenths.setdefault(min(int(p * 10), 9), []).append((p, y))
    gaps = [abs(sum(p for p, _ in some) - sum(y for _, y in some)) for some in tenths.values()]
    assert got.ece == pytest.approx(sum(gaps) / n)


@given(pairs)
def test_running_sums_agree(found: list[tuple[float, bool]]) -> None:
    tally = Tally()
    for p, y in found:
        tally.update(p, y)
    got = accuracy(*split(found))._asdict()
    for name, value in tally.report().items():
        assert got[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name
    rows = [tuple(one) for one in reliability(*split(found))]
    for mine, theirs in zip(rows, tally.reliability(), strict=True):
        assert mine == pytest.approx(theirs)


def test_nothing_measures_nothing() -> None:
    empty = accuracy(np.empty(0), np.empty(0, np.bool_))
    assert empty.n == 0
    assert all(math.isnan(value) for value in empty[:-1])


def test_another_ranking_changes_only_what_ranks() -> None:
    p, y = np.array([0.2, 0.4, 0.9]), np.array([False, True, False])
    plain, ranked = accuracy(p, y), accuracy(p, y, np.array([1.0, 3.0, 2.0]))
    assert (plain.auc, ranked.auc) == (0.5, 1.0)
    assert plain.log_loss == ranked.log_loss
    assert plain.ece == ranked.ece


def test_ranks_share_ties() -> None:
    assert ranks(np.array([5.0, 1.0, 5.0, 7.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_rank_correlation() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(a, a**3) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)
    # 1 - 6 sum d^2 / (n (n^2 - 1)), without ties
    assert spearman(a, np.array([2.0, 1.0, 4.0, 3.0])) == pytest.approx(1 - 6 * 4 / 60)
    assert math.isnan(spearman(a, np.ones(4)))


def test_the_top_decile_is_a_tenth_of_the_customers_rounded_up() -> None:
    rank, spend = np.arange(11.0), np.arange(11.0)
    assert top_decile_share(rank, spend) == pytest.approx((10 + 9) / 55)
    assert math.isnan(top_decile_share(rank, np.zeros(11)))
