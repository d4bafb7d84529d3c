"""Reasons in an operator's words, with the facts of that customer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.churn import ChurnModel
from shared.domain.churn_scorer import REASONS
from shared.domain.features import FEATURES
from shared.domain.hazard import INPUTS
from shared.domain.reasons import explain
from tests.unit.domain.histories import scorer
from tests.unit.domain.teaching import teach

FACTS = {
    "recency": 9.0,
    "visits": 5.0,
    "tenure": 49.0,
    "visits_7": 0.4,
    "visits_30": 3.6,
    "visits_90": 4.4,
    "mean_spend": 12.5,
    "onboarding": 3.0,
    "services": 2.0,
    "plan_days": 49.0,
    "day": 20_000.0,
}
TEXTS = {
    "recency": "last active 9 days ago",
    "visits": "active on 5 days so far",
    "tenure": "a customer for 49 days",
    "recency_to_rhythm": "silent 9 days, usually back after 11",  # (40 + 28 / 2) / 5 = 10.8
    "silence_weight": "silent 9 days, usually back after 11",
    "silence_prior": "silent 9 days, usually back after 11",
    "visits_7": "about 0.4 active days in the last week",
    "visits_30": "about 4 active days in the last weeks",
    "visits_90": "about 4 active days in the last months",
    "mean_spend": "spends 12.50 on an active day",
    "onboarding": "took 3 days to become active",
    "services": "uses 2 services",
    "never_active": "has not been active yet",
}


def customer(**changes: float) -> NDArray[np.float64]:
    facts = FACTS | changes
    return np.array([[facts.get(name, 0.0) for name in FEATURES]])


def only(name: str) -> NDArray[np.float64]:
    """Return weights that look at one input alone."""
    return 0.5 * (np.array(INPUTS) == name)


@pytest.mark.parametrize("name", INPUTS)
def test_each_input_has_words_with_the_customers_facts(name: str) -> None:
    x = customer(visits=0.0 if name == "never_active" else 5.0)
    ((reason,),) = explain(scorer(only(name)), x)
    assert (reason.feature, reason.text) == (name, TEXTS[name])


def test_calendars_have_words() -> None:
    model = ChurnModel()
    rng = np.random.default_rng(3)
    x, other = customer(plan=7.0, family=3.0)[0], customer()[0]
    for day in range(400):  # whoever is on this plan is silent, in every season, and nobody else
        for one, often in ((x, 0.9), (other, 0.1)):
            one[FEATURES.index("day")] = 20_000.0 + day
            one[FEATURES.index("recency")] = rng.uniform(0, 90)
            teach(model, one[None], [rng.random() < often])
    texts = {one.feature: one.text for one in explain(model.scorer(), x[None])[0]}
    assert texts["plan_calendar"] == "what is usual now on this plan, after 49 days"
    parts = dict(zip(REASONS, model.scorer().contributions(x[None])[0], strict=True))
    assert parts["season"] != 0.0


def test_reasons_are_the_strongest_first_each_for_its_own_row() -> None:
    x = np.concatenate([customer(visits=1.0, recency=20.0), customer(visits=30.0)])
    scored = scorer(np.ones(len(INPUTS)))
    found = explain(scored, x)
    for row, reasons in zip(scored.contributions(x), found, strict=True):
        strongest = sorted(np.abs(row), reverse=True)[:3]
        assert [abs(one.contribution) for one in reasons] == pytest.approx(strongest, abs=1e-4)
    assert "last active 20 days ago" in {one.text for one in found[0]}
    assert "active on 30 days so far" in {one.text for one in found[1]}


def test_the_cold_model_gives_its_one_reason() -> None:
    (reasons,) = explain(ChurnModel().scorer(), customer())
    assert [reason.feature for reason in reasons] == ["silence_prior"]
