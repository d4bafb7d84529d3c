"""The learner against River, its frozen scorer, and its explicit state."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing

from shared.domain.churn import ChurnModel, ModelStateError
from shared.domain.features import FEATURES, PRIOR

Floats = NDArray[np.float64]


def examples(n: int = 600, seed: int = 5, base: float = 0.0) -> tuple[Floats, NDArray[np.bool_]]:
    """Features on unequal scales, and outcomes that the prior ranks but misjudges."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, len(FEATURES))) * np.linspace(0.5, 3, len(FEATURES)) + 2.0
    matrix[:, PRIOR] = rng.normal(size=n)
    odds = base + 1.5 * matrix[:, PRIOR] + 0.8 * (matrix[:, 0] - 2.0)
    return matrix, rng.random(n) < 1 / (1 + np.exp(-odds))


def trained(n: int = 600, seed: int = 5, base: float = 0.0) -> tuple[ChurnModel, Floats]:
    model = ChurnModel()
    matrix, y = examples(n, seed, base)
    for x, outcome in zip(matrix, y, strict=True):
        model.learn(x, bool(outcome))
    return model, matrix


def test_learns_what_rivers_own_pipeline_learns() -> None:
    model, matrix = trained(400, base=-2.0)
    river = preprocessing.StandardScaler() | linear_model.LogisticRegression(
        optim.SGD(0.003), intercept_lr=0.01
    )
    for x, y in zip(*examples(400, base=-2.0), strict=True):
        river.learn_one(dict(zip(FEATURES, x.tolist(), strict=True)), bool(y))
    theirs = [
        river.predict_proba_one(dict(zip(FEATURES, x.tolist(), strict=True)))[True] for x in matrix
    ]
    assert model.warm
    assert model.scorer().predict(matrix) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 300), st.floats(-3, 3), st.integers(0, 2**16))
def test_scorer_equals_the_learner(n: int, base: float, seed: int) -> None:
    model, _ = trained(n, base=base, seed=seed)
    matrix, _ = examples(20, seed=seed + 1)
    one_by_one = [model.predict_one(x) for x in matrix]
    assert model.scorer().predict(matrix) == pytest.approx(one_by_one, abs=1e-9)


def test_a_row_alone_scores_as_among_many() -> None:
    model, matrix = trained()
    together = model.scorer().predict(matrix)
    alone = np.concatenate([model.scorer().predict(matrix[i : i + 1]) for i in range(len(matrix))])
    assert alone.tobytes() == together.tobytes()


@settings(max_examples=20)
@given(st.integers(0, 150), st.integers(0, 2**16))
def test_learning_goes_on_bit_for_bit_after_a_restore(n: int, seed: int) -> None:
    model, _ = trained(n, seed=seed)
    restored = ChurnModel.load(json.loads(json.dumps(model.dump())))
    for x, y in zip(*examples(60, seed=seed + 1), strict=True):
        model.learn(x, bool(y))
        restored.learn(x, bool(y))
    assert json.dumps(restored.dump()) == json.dumps(model.dump())


@pytest.mark.parametrize("change", [{"version": 0}, {"format": "x"}, {"features": ["age"]}])
def test_a_state_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelStateError, match="cannot load"):
        ChurnModel.load(ChurnModel().dump() | change)


def test_an_untrained_model_serves_the_heuristic() -> None:
    matrix, _ = examples(10)
    assert ChurnModel().scorer().predict(matrix) == pytest.approx(
        1 / (1 + np.exp(-matrix[:, PRIOR]))
    )


def test_the_heuristic_stays_while_it_is_better() -> None:
    model, rng = ChurnModel(), np.random.default_rng(7)
    for _ in range(300):
        x = rng.normal(size=len(FEATURES))
        x[PRIOR] *= 4
        model.learn(x, bool(rng.random() < 1 / (1 + np.exp(-x[PRIOR]))))
    assert not model.warm


def test_the_learner_takes_over_when_its_measured_loss_is_lower() -> None:
    assert trained(600, base=-2.0)[0].warm


def test_a_constant_feature_does_not_explode() -> None:
    model = ChurnModel()
    matrix, y = examples(600, base=-2.0)
    matrix[:, 3] = 1e6 + np.random.default_rng(1).normal(size=600) * 1e-8
    for x, outcome in zip(matrix, y, strict=True):
        model.learn(x, bool(outcome))
    moved = matrix.copy()
    moved[:, 3] = 0.0
    assert model.warm
    assert (model.scorer().predict(moved) == model.scorer().predict(matrix)).all()


def test_contributions_add_up_to_the_score() -> None:
    model, matrix = trained(base=-2.0)
    scorer = model.scorer()
    odds = scorer.contributions(matrix).sum(axis=1) + scorer.intercept
    assert scorer.predict(matrix) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)


def test_reasons_are_the_largest_signed_contributions() -> None:
    model, matrix = trained(base=-2.0)
    scorer = model.scorer()
    for row, reasons in zip(
        scorer.contributions(matrix), scorer.reasons(matrix, top=2), strict=True
    ):
        sizes = [abs(value) for _, value in reasons]
        assert sizes == sorted(np.abs(row), reverse=True)[:2]
        assert all(row[FEATURES.index(name)] == value for name, value in reasons)
    assert ChurnModel().scorer().reasons(matrix)[0] == [("silence_prior", matrix[0, PRIOR])]
