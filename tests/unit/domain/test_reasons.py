"""Reasons in an operator's words, with the facts of that customer."""

import numpy as np
import pytest

from shared.domain.churn import ChurnModel, Scorer
from shared.domain.customer import ROW, Rows
from shared.domain.features import FEATURES, MICROS, feature_matrix, fold_activity
from shared.domain.policy import DAY_MS
from shared.domain.reasons import explain
from tests.unit.domain.histories import POLICY, T0


def customer(visits: int, gap_days: int, amount: float = 0.0) -> Rows:
    row = np.zeros(1, ROW)
    for n in range(visits):
        at = np.array([T0 + n * gap_days * DAY_MS])
        fold_activity(row, at, np.array([round(amount * MICROS)]))
    return row


def only(name: str, weight: float) -> Scorer:
    """Return a scorer that looks at one feature alone."""
    weights = np.zeros(len(FEATURES))
    weights[FEATURES.index(name)] = weight
    zeros, ones = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    return Scorer(zeros, ones, weights, 0.0, warm=True)


TEXTS = {
    "recency": "last active 9 days ago",
    "visits": "active on 5 days so far",
    "tenure": "a customer for 49 days",
    "recency_to_rhythm": "silent 9 days, usually back after 11",  # (40 + 28 / 2) / 5 = 10.8
    "silence_weight": "silent 9 days, usually back after 11",
    "silence_prior": "silent 9 days, usually back after 11",
    "visits_30": "about 4 active days in the last weeks",
    "visits_90": "about 4 active days in the last months",
    "mean_spend": "spends 12.50 on an active day",
}


@pytest.mark.parametrize("name", FEATURES)
def test_each_feature_has_words_with_the_customers_facts(name: str) -> None:
    row = customer(visits=5, gap_days=10, amount=12.5)
    row["decay30"], row["decay90"] = 3.6, 4.4
    now = row["last_at"] + 9 * DAY_MS
    x = feature_matrix(row, now, POLICY.horizon_ms)
    ((reason,),) = explain(only(name, 0.5), x, row, now, POLICY)
    assert (reason.feature, reason.text) == (name, TEXTS[name])
    assert reason.contribution == pytest.approx(0.5 * x[0, FEATURES.index(name)], abs=1e-4)


def test_reasons_are_the_strongest_first_each_for_its_own_row() -> None:
    rows = np.concatenate([customer(1, 1), customer(30, 2)])
    now = rows["last_at"] + DAY_MS * np.array([20, 1])
    x = feature_matrix(rows, now, POLICY.horizon_ms)
    scorer = Scorer(
        np.zeros(len(FEATURES)), np.ones(len(FEATURES)), np.ones(len(FEATURES)), 0.0, warm=True
    )
    found = explain(scorer, x, rows, now, POLICY)
    for row, reasons in zip(scorer.contributions(x), found, strict=True):
        strongest = sorted(np.abs(row), reverse=True)[:3]
        assert [abs(one.contribution) for one in reasons] == pytest.approx(strongest, abs=1e-4)
    assert "last active 20 days ago" in {one.text for one in found[0]}
    assert "active on 30 days so far" in {one.text for one in found[1]}


def test_the_cold_model_gives_its_one_reason() -> None:
    row = customer(5, 10)
    now = row["last_at"] + 9 * DAY_MS
    x = feature_matrix(row, now, POLICY.horizon_ms)
    (reasons,) = explain(ChurnModel().scorer(), x, row, now, POLICY)
    assert [reason.feature for reason in reasons] == ["silence_prior"]
