"""The regression that is at its optimum after every label."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from shared.domain.configuration import CHAMPION
from shared.domain.logistic import Linear, Scaler, Standardised
from shared.domain.recursive import _LOOSE, Recursive

NAMES = ("odds", "other", "constant")
FOREVER = 1e12
TRUE = np.array([0.7, -0.8])


def recursive(memory: float, level_memory: float) -> Recursive:
    """Return one that forgets by half-lives in horizons."""
    return Recursive(NAMES, 0, replace(CHAMPION, memory=memory, level_days=level_memory), 1.0)


def labels(n: int, level: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (n, 3) and outcomes (n,); the two that matter say nearly the same."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(1.0, 2.0, n)
    x = np.column_stack([odds, 3.0 + 0.5 * odds + rng.normal(0.0, 1.0, n), np.full(n, 7.0)])
    p = 1.0 / (1.0 + np.exp(-(level + TRUE[0] * odds + TRUE[1] * (x[:, 1] - 3.5) / np.sqrt(2.0))))
    return x, (rng.random(n) < p).astype(int)


def scaler_of(x: np.ndarray) -> Scaler:
    scaler = Scaler(NAMES)
    scaler.learn(x)
    return scaler


def design(model: Recursive, scaler: Scaler, x: np.ndarray) -> np.ndarray:
    """Return what a model learns from (n, 4), by the moments of a scaler as it is."""
    mean, spread = (np.broadcast_to(each, x.shape) for each in scaler.moments())
    z = np.where(spread, (x - mean) / np.where(spread, spread, 1.0), 0.0)
    return model.of(Standardised(z, mean, spread))


def learn(
    model: Recursive, x: np.ndarray, label: int, pace: float = 1.0, offset: float = 0.0
) -> None:
    p = float(1.0 / (1.0 + np.exp(-model.log_odds(x) - offset)))
    model.learn(x, np.outer(x, x), label, p, *model.kept(np.array([pace])))


def taught(
    model: Recursive, scaler: Scaler, x: np.ndarray, y: np.ndarray, pace: float = 1.0
) -> Recursive:
    for row, label in zip(design(model, scaler, x), y.tolist(), strict=True):
        learn(model, row, label, pace)
    return model


def odds_of(model: Recursive, scaler: Scaler, row: np.ndarray) -> float:
    return model.log_odds(design(model, scaler, row[None])[0])


@pytest.mark.parametrize("half_life", [FOREVER, 400.0])
def test_it_is_at_the_optimum_of_what_is_remembered(half_life: float) -> None:
    x, y = labels(4000, 0.3)
    scaler = scaler_of(x)
    model = taught(recursive(half_life, half_life), scaler, x, y)
    age = np.arange(len(y))[::-1]
    worth = 0.5 ** (age / half_life)
    at_first = CHAMPION.belief * 0.5 ** (len(y) / half_life)
    prior = np.array([1.0, 0.0, 0.0, 0.0])
    pull = np.array([_LOOSE, CHAMPION.pull, CHAMPION.pull, CHAMPION.level_pull])
    precision = pull + at_first * np.array([1, 1, 1, 0])

    def loss(w: np.ndarray) -> float:
        odds = design(model, scaler, x) @ w
        fit = worth @ (np.logaddexp(0.0, odds) - odds * y)
        return float(fit + 0.5 * precision @ (w - prior) ** 2)

    best = minimize(loss, prior).x
    assert model._weights == pytest.approx(best, abs=0.03)
    assert abs(best[1]) > 0.2


def test_before_any_label_it_says_what_is_believed() -> None:
    x, _ = labels(500, 0.0)
    scaler = scaler_of(x)
    model = recursive(1.0, 1.0)
    for row in x[:20]:
        assert odds_of(model, scaler, row) == pytest.approx(row[0])


def test_the_level_is_forgotten_sooner_than_the_weights() -> None:
    x, y = labels(6000, 0.0)
    later, turned = labels(600, 2.0, seed=2)
    scaler = scaler_of(x)
    model = taught(recursive(1.0, 0.02), scaler, x, y, pace=3000.0)
    before = model._weights.copy()
    taught(model, scaler, later, turned, pace=3000.0)
    assert model._weights[-1] - before[-1] == pytest.approx(2.0, abs=0.5)
    assert model._weights[:2] == pytest.approx(before[:2], abs=0.25)


def test_an_offset_is_learned_around() -> None:
    x, y = labels(4000, 0.3)
    scaler = scaler_of(x)
    plain, helped = (recursive(FOREVER, FOREVER) for _ in range(2))
    taught(plain, scaler, x, y)
    for row, label in zip(design(helped, scaler, x), y.tolist(), strict=True):
        learn(helped, row, label, offset=1.5)
    assert plain._weights[-1] - helped._weights[-1] == pytest.approx(1.5, abs=0.05)


def test_a_constant_input_means_nothing() -> None:
    x, y = labels(2000, 0.0)
    scaler = scaler_of(x)
    model = taught(recursive(1.0, 1.0), scaler, x, y, pace=500.0)
    assert model._weights[2] == 0.0
    assert model.linear(scaler).spread[2] == 0.0


def test_where_the_believed_input_is_constant_it_still_counts() -> None:
    x, y = labels(2000, 0.0)
    x[:, 0] = -2.0
    scaler = scaler_of(x)
    model = taught(recursive(1.0, 1.0), scaler, x, y, pace=500.0)
    assert model.linear(scaler).intercept == pytest.approx(
        model._weights[-1] - 2.0 * model._weights[0]
    )


def test_a_copy_says_what_the_learner_says() -> None:
    x, y = labels(2000, 0.0)
    scaler = scaler_of(x)
    model = taught(recursive(1.0, 1.0), scaler, x, y, pace=500.0)
    linear = model.linear(scaler)
    shares = sum(linear.share(j, x[:, j]) for j in range(3))
    expected = [odds_of(model, scaler, row) for row in x]
    assert linear.intercept + shares == pytest.approx(expected, abs=1e-9)


def test_what_is_usual_is_the_average_of_what_was_known() -> None:
    x, y = labels(900, 0.0)
    scaler, pace = scaler_of(x), 400.0
    model, known = recursive(1.0, 0.2), []
    for row, label in zip(design(model, scaler, x), y.tolist(), strict=True):
        learn(model, row, label, pace)
        known.append(model._weights.copy())
    worth = 0.5 ** (np.arange(len(known))[::-1] / (CHAMPION.usual * pace))
    expected = np.average(known, axis=0, weights=worth)
    found, (mean, spread) = model.usual(scaler), scaler.moments()
    assert found.weight[1] == pytest.approx(expected[1])
    assert found.weight[0] == pytest.approx(expected[0] * spread[0])
    assert found.intercept == pytest.approx(expected[-1] + expected[0] * mean[0])
    assert found.weight[1] != pytest.approx(model.linear(scaler).weight[1], rel=1e-3)


def test_a_state_without_an_average_sets_out_from_what_is_known() -> None:
    x, y = labels(900, 0.0)
    scaler = scaler_of(x)
    former = taught(recursive(1.0, 0.2), scaler, x, y, pace=400.0).dump()
    model = recursive(1.0, 0.2)
    model.restore({name: former[name] for name in ("weights", "information")})
    assert model.usual(scaler).weight.tolist() == model.linear(scaler).weight.tolist()
    assert model.usual(scaler).intercept == model.linear(scaler).intercept


def test_learning_goes_on_to_the_bit_after_a_restore() -> None:
    x, y = labels(900, 0.0)
    scaler = scaler_of(x)
    model = taught(recursive(1.0, 0.2), scaler, x[:600], y[:600], pace=500.0)
    restored = recursive(1.0, 0.2)
    restored.restore(json.loads(json.dumps(model.dump())))
    for one in (model, restored):
        taught(one, scaler, x[600:], y[600:], pace=500.0)
    assert restored.dump() == model.dump()


def test_what_another_regression_knew_is_believed_at_first() -> None:
    x, _ = labels(500, 0.0)
    scaler = scaler_of(x)
    former = Linear(*scaler.moments(), np.array([0.6, -1.2, 0.0]), -0.4)
    model = recursive(1.0, 1.0)
    model.take_over(former)
    expected = former.intercept + former.share(0, x[:, 0]) + former.share(1, x[:, 1])
    assert [odds_of(model, scaler, row) for row in x] == pytest.approx(expected)


def test_what_never_varies_does_not_end_learning_once_the_first_belief_is_forgotten() -> None:
    model = recursive(1.0, 1.0)
    x = np.array([0.5, 0.0, 0.0, 1.0])
    for n in range(60_000):
        learn(model, x, n % 4 == 0)
    assert np.isfinite(model._weights).all()
    assert model._weights[1] == 0.0
