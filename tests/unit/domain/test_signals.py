"""Signals of leaving: what is derived of signs, what is learned of them, what nobody's change."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.churn import ChurnModel, ModelStateError
from shared.domain.churn_scorer import REASONS
from shared.domain.features import FEATURES
from shared.domain.reasons import explain
from shared.domain.signals import NO_SIGNALS, SIGNALS, Effects, Signalled, Signs, present, signals
from shared.domain.signs import SIGNS, rating_code
from tests.unit.domain.teaching import teach
from tests.unit.domain.test_churn import customers, examples

Floats = NDArray[np.float64]
WEEK = 7.0
FIRST = FEATURES.index(SIGNS[0])


def derived(ahead: float = 0.0, **signs: float) -> dict[str, float]:
    """Return the signals that are not 0."""
    one = {name: np.array([value]) for name, value in (dict.fromkeys(SIGNS, 0.0) | signs).items()}
    values = np.ravel(signals(Signs(**one), ahead, WEEK)).tolist()
    return {name: value for name, value in zip(SIGNALS, values, strict=True) if value}


def signed(n: int = 600, seed: int = 5, share: float = 0.5) -> Floats:
    """Facts as they occur; some of the customers have signs."""
    x, rng = customers(n, seed), np.random.default_rng(seed)
    some = rng.random(n) < share
    most = {"complaints": 3, "complained": 90, "rating": 251, "payments_failed": 3, "overdue": 60}
    for name, limit in {**most, "notice": 2, "ends": 60, "used": 200}.items():
        values = rng.integers(0, limit, n) * (rng.random(n) < 0.5)
        x[:, FEATURES.index(name)] = np.where(some, values, 0)
    return x


def learn(model: ChurnModel, x: Floats, seed: int = 5) -> ChurnModel:
    _, silent, closed = examples(len(x), seed)
    return teach(model, x, silent, closed)


# -- what is derived


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ({}, {}),
        ({"complaints": 1.0, "complained": 1.0}, {"complained": 0.5 ** (12 / 365.2425)}),
        ({"complaints": 3.0, "complained": 1.0}, {"complained": 2 * 0.5 ** (12 / 365.2425)}),
        ({"rating": float(rating_code(0))}, {"low_rating": 3.0}),
        ({"rating": float(rating_code(10))}, {"low_rating": -1.0}),
        ({"payments_failed": 1.0}, {"payments_failed": 1.0}),
        ({"payments_failed": 3.0}, {"payments_failed": 2.0}),
        ({"overdue": 1.0}, {"overdue": 1.0}),
        ({"overdue": 32.0}, {"overdue": 1.0, "overdue_long": 1.0}),
        ({"notice": 1.0}, {"notice": 1.0}),
        ({"notice": 1.0, "ends": 7.0}, {"notice_ends": 1.0}),
        ({"notice": 1.0, "ends": 8.0}, {"notice_waits": 1.0}),
        ({"ends": 7.0}, {"contract_ends": 1.0}),
        ({"ends": 8.0}, {}),
        ({"used": 91.0}, {"near_limit": 1.0}),
        ({"used": 90.0}, {}),
        ({"used": 11.0}, {"unused": 1.0}),
        ({"used": 12.0}, {}),
    ],
)
def test_each_signal_is_of_the_order_of_one(
    signs: dict[str, float], expected: dict[str, float]
) -> None:
    assert derived(**signs) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ahead", "name"), [(0.0, "notice_waits"), (7.0, "notice_ends"), (14.0, "notice")]
)
def test_a_notice_ends_in_the_step_in_which_it_ends(ahead: float, name: str) -> None:
    assert derived(ahead, notice=1.0, ends=13.0) == {name: 1.0}


def test_those_who_have_any_are_found() -> None:
    x = signed(200)
    who = x[:, FIRST:].any(axis=1)
    assert Signalled.of(x, WEEK).which.tolist() == np.flatnonzero(who).tolist()
    for row, found in zip(x, present(x, WEEK), strict=True):
        signs = dict(zip(SIGNS, row[FIRST:].tolist(), strict=True))
        assert {SIGNALS[j]: value for j, value in found} == derived(**signs)
    assert present(customers(1), WEEK) == [[]]


# -- what is learned


def test_an_effect_is_found_beside_what_the_odds_say_already() -> None:
    """Of two signals that come together each gets its own; the odds are off for everybody."""
    rng, effects = np.random.default_rng(3), Effects()
    truth = {0: 1.5, 5: -1.0}
    for _ in range(6_000):
        odds = rng.normal(-1.0, 1.0)
        found = [(j, 1.0) for j in truth if rng.random() < 0.4]
        real = odds + 0.7 + sum(truth[j] for j, _ in found)
        if effects.concerns(found):
            effects.learn(found, odds, int(rng.random() < 1 / (1 + np.exp(-real))))
    learned = effects.learned().weights
    assert [learned[j] for j in truth] == pytest.approx(list(truth.values()), abs=0.3)
    assert effects.level == pytest.approx(0.7, abs=0.3)
    assert not any(learned[j] for j in range(len(SIGNALS)) if j not in truth)


def test_a_few_labels_are_not_believed() -> None:
    effects = Effects()
    for _ in range(2):
        effects.learn([(0, 1.0)], -3.0, 1)
    assert 0.2 < effects.learned().weights[0] < 2.0


def test_signs_that_nobody_has_change_nothing() -> None:
    """To the bit, whether they are no inputs at all, or 0 for everybody."""
    x = customers(600)
    without, zero = learn(ChurnModel(), x[:, :FIRST]), learn(ChurnModel(), x)
    assert without.dump() == zero.dump()
    for score in ("predict", "predict_closed", "contributions"):
        plain = getattr(without.scorer(), score)(x[:, :FIRST])
        assert plain.tobytes() == getattr(zero.scorer(), score)(x).tobytes()
    assert zero.scorer().silence_signals == zero.scorer().closure.signals == NO_SIGNALS
    assert zero.groundwork.closure.effects.level == 0.0


def test_customers_without_signs_are_scored_as_if_alone() -> None:
    scorer, x = learn(ChurnModel(), signed()).scorer(), signed(300, seed=9, share=0.3)
    for score in (scorer.predict, scorer.predict_closed, scorer.contributions):
        alone = np.concatenate([score(x[n : n + 1]) for n in range(len(x))])
        assert score(x).tobytes() == alone.tobytes()


def test_the_scorer_says_of_the_first_step_what_the_learner_does() -> None:
    model, asked = learn(ChurnModel(WEEK), signed(2_000)), signed(200, seed=8)
    said, closing = model.scorer().predict(asked), model.scorer().predict_closed(asked)
    plain = asked.copy()
    plain[:, FIRST:] = 0.0
    without = (model.scorer().predict(plain), model.scorer().predict_closed(plain))
    assert model.warm
    for n, found in enumerate(present(asked, WEEK)):
        for p, base, effects in (
            (said[n], without[0][n], model._signals),
            (closing[n], without[1][n], model.groundwork.closure.effects),
        ):
            odds = np.log(base / (1 - base)) + effects.log_odds(found)
            assert p == pytest.approx(np.clip(1 / (1 + np.exp(-odds)), 1e-4, 1 - 1e-4), abs=1e-9)


def test_of_later_steps_a_passing_sign_says_less() -> None:
    """And who has none is by then more like the average customer, who has some."""
    x, rng = customers(4_000, planned=False), np.random.default_rng(1)
    failed = rng.random(4_000) < 0.2
    x[:, FEATURES.index("payments_failed")] = failed
    gone = rng.random(4_000) < np.where(failed, 0.3, 0.01)
    model = teach(ChurnModel(), x, rng.random(4_000) < 0.5, gone)
    learned = model.groundwork.closure.effects.learned()
    assert learned.average > 2.0
    asked = customers(2, planned=False)
    asked[1, FEATURES.index("payments_failed")] = 1
    found = Signalled.of(asked, WEEK)
    odds = [np.zeros(2) for _ in range(9)]
    for step, each in enumerate(odds):
        found.add_to(each, learned, step * WEEK)
    assert odds[0].tolist() == [0.0, learned.weights[SIGNALS.index("payments_failed")]]
    assert np.diff([each[0] for each in odds]).min() > 0
    assert np.diff([each[1] for each in odds]).max() < 0
    assert odds[-1][1] > np.log(learned.average) > odds[-1][0]


# -- what is kept


def test_learning_goes_on_from_a_dump_to_the_bit() -> None:
    x = signed(700)
    whole = learn(ChurnModel(), x)
    _, silent, closed = examples(700)
    first = teach(ChurnModel(), x[:350], silent[:350], closed[:350])
    again = ChurnModel.load(json.loads(json.dumps(first.dump())))
    assert teach(again, x[350:], silent[350:], closed[350:]).dump() == whole.dump()


def test_a_model_from_before_there_were_signs_is_extended() -> None:
    """What it predicts is what it did, and what it learns is what it would have."""
    x, more = customers(600), signed(300, seed=6)
    old = learn(ChurnModel(), x).dump()
    for name in ("silence_signals", "closure_signals"):
        del old[name]
    old["features"] = list(FEATURES[:FIRST])
    model = ChurnModel.load(old)
    same = learn(ChurnModel(), x)
    assert model.scorer().predict(x).tobytes() == same.scorer().predict(x).tobytes()
    assert learn(model, more).dump() == learn(same, more).dump()


@pytest.mark.parametrize(
    "features",
    [[], None, [*FEATURES, "later"], list(FEATURES[: FIRST - 1]), list(FEATURES[::-1])],
)
def test_other_features_are_refused(features: list[str] | None) -> None:
    state = ChurnModel().dump() | {"features": features}
    with pytest.raises(ModelStateError, match="features"):
        ChurnModel.load(state)


# -- in words


@pytest.mark.parametrize(
    ("signs", "text"),
    [
        ({"complaints": 1, "complained": 4}, "complained 3 days ago"),
        ({"complaints": 2, "complained": 2}, "complained twice, last 1 day ago"),
        ({"rating": rating_code(2.5)}, "rated 2.5 of 10"),
        ({"payments_failed": 1}, "payment failed once"),
        ({"payments_failed": 2}, "payment failed twice"),
        ({"payments_failed": 3}, "payment failed 3 times"),
        ({"overdue": 5}, "a bill overdue for 4 days"),
        ({"notice": 1}, "gave notice"),
        ({"notice": 1, "ends": 13}, "gave notice, ends in 12 days"),
        ({"notice": 1, "ends": 3}, "gave notice, ends in 2 days"),
        ({"ends": 2}, "contract ends in 1 day"),
        ({"used": 98}, "uses 97% of the plan"),
        ({"used": 3}, "uses 2% of the plan"),
    ],
)
def test_each_signal_has_words(signs: dict[str, float], text: str) -> None:
    x, rng = customers(800, planned=False), np.random.default_rng(4)
    sick = rng.random(800) < 0.5
    for name, value in signs.items():
        x[:, FEATURES.index(name)] = value * sick
    model = teach(ChurnModel(), x, rng.random(800) < np.where(sick, 0.95, 0.05))
    asked = customers(1, planned=False)
    for name, value in signs.items():
        asked[0, FEATURES.index(name)] = value
    (reasons,) = explain(model.scorer(), asked)
    assert text in {one.text for one in reasons}
    assert {one.feature for one in reasons} & set(SIGNALS)


def test_contributions_of_signals_are_part_of_the_odds() -> None:
    model, asked = learn(ChurnModel(WEEK), signed(2_000)), signed(100, seed=8)
    scorer = model.scorer()
    assert scorer.warm
    parts = scorer.contributions(asked)
    odds = parts.sum(axis=1) + scorer.silence.intercept
    assert scorer.predict(asked) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-9)
    assert parts[:, REASONS.index("payments_failed")].any()
