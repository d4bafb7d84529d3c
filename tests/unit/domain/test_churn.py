"""The learner against River, its frozen scorer, and its explicit state."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing
from scipy import optimize

from shared.domain.calendars import effect
from shared.domain.churn import HORIZON_DAYS, ChurnModel, ModelStateError
from shared.domain.churn_scorer import REASONS
from shared.domain.configuration import CHAMPION
from shared.domain.hazard import INPUTS, Facts, Steps, facts_of, inputs, moving, prior, still
from shared.domain.logistic import Calibrated, Linear, Logistic, Scaler, Standardised
from shared.domain.seasons import seasons
from tests.unit.domain.teaching import AT, customers, teach

Floats = NDArray[np.float64]
Examples = tuple[Floats, NDArray[np.int64], NDArray[np.int64]]


def examples(n: int = 600, seed: int = 5, lean: float = 0.0, *, planned: bool = True) -> Examples:
    """Outcomes that recency, season and plan decide, other than the heuristic thinks."""
    x = customers(n, seed, planned=planned)
    rng = np.random.default_rng(seed + 1)
    odds = lean + 1.5 - 0.02 * x[:, AT["recency"]] + np.sin(x[:, AT["day"]] / 58.0)
    odds += 2.0 * (x[:, AT["plan"]] == 1)
    silent = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    closed = (rng.random(n) < 0.05 + 0.1 * (x[:, AT["services"]] == 0)).astype(np.int64)
    return x, silent, closed


def trained(
    n: int = 600,
    seed: int = 5,
    lean: float = 0.0,
    horizon: float = HORIZON_DAYS,
    *,
    planned: bool = True,
) -> ChurnModel:
    model = ChurnModel(horizon)
    learn(model, examples(n, seed, lean, planned=planned))
    return model


def learn(model: ChurnModel, found: Examples) -> None:
    teach(model, *found)


def sigmoid(odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-odds)))


def by_hand(model: ChurnModel, x: Floats, closure: bool = False) -> float:
    """Say plainly what a warm model predicts for (1, F): the regression, and the calendars."""
    facts, steps, ground = facts_of(x), model.steps, model.groundwork
    (mean, spread), stays = ground.scaler.moments(), 1.0
    for k in range(steps.count):
        ahead = k * steps.length
        values = np.array([*still(facts), *moving(facts, steps, ahead, steps.length)]).T
        z = np.where(spread, (values - mean) / np.where(spread, spread, 1.0), 0.0).clip(-8.0, 8.0)
        if closure:
            odds = ground.closure.logistic.log_odds(dict(zip(INPUTS, z[0].tolist(), strict=True)))
        else:
            (row,) = model._silence.of(Standardised(z, mean[None], spread[None]))
            usual = float(model._silence._usual @ row)
            odds = usual + 0.9**k * (model._silence.log_odds(row) - usual)
            odds += model._seasons.effect(*seasons(x[:, AT["day"]] + ahead + steps.length / 2))
            odds += plan_effect(model, x, ahead)
        stays *= 1 - sigmoid(odds) if closure else sigmoid(odds)
    return min(max(1 - stays if closure else stays, 1e-4), 1 - 1e-4)


def plan_effect(model: ChurnModel, x: Floats, ahead: float) -> float:
    """Return what the learner would add, were it to meet the customer so many days later."""
    later = x.copy()
    later[:, AT["recency"]] += ahead
    later[:, AT["day"]] += ahead
    later[:, AT["plan_days"]] += ahead * (x[:, AT["plan_days"]] > 0)
    again = ChurnModel.load(model.dump())  # which takes note of plans
    (place,) = again.groundwork.plans.places(later, model.steps)
    return effect(again._cells.meet(place)) if place else 0.0


# -- the heuristic


def batch_fit(odds: Floats, y: Floats) -> Floats:
    """Return level and slope of most likelihood, all labels at once; the prior of one label."""

    def loss(fit: Floats) -> float:
        z = fit[0] + fit[1] * odds
        prior = (fit[0] ** 2 + (fit[1] - 1) ** 2) / 2
        return float(np.sum(np.logaddexp(0, z) - y * z) + prior)

    return optimize.minimize(loss, np.array([0.0, 1.0]), tol=1e-9).x


def test_the_heuristic_is_fitted_to_the_labels() -> None:
    random = np.random.default_rng(3)
    odds = random.normal(1.0, 2.0, 2_000)
    y = random.random(2_000) < 1 / (1 + np.exp(-(-0.7 + 0.4 * odds)))
    fitted = Calibrated()
    assert fitted.log_odds(2.5) == 2.5
    for z, outcome in zip(odds.tolist(), y.tolist(), strict=True):
        p = sigmoid(fitted.log_odds(z))
        fitted.learn(z, p - outcome, p * (1 - p))
    assert [fitted.level, fitted.slope] == pytest.approx(batch_fit(odds, y), abs=0.05)


def test_a_cold_model_serves_the_fitted_heuristic() -> None:
    model = trained(80, lean=1.0)  # too few to be warm
    found, *_ = examples(30, 2)
    scorer, steps = model.scorer(), model.steps
    assert not scorer.warm
    level, slope = model.groundwork.heuristic.level, model.groundwork.heuristic.slope
    for x, p in zip(found, scorer.predict(found), strict=True):
        stays = 1.0
        for k in range(steps.count):
            derived = moving(facts_of(x[None]), steps, k * steps.length, steps.length)
            stays *= sigmoid(level + slope * derived[INPUTS.index("silence_prior") - 5][0])
        assert p == pytest.approx(min(max(stays, 1e-4), 1 - 1e-4), abs=1e-9)
    again = ChurnModel.load(json.loads(json.dumps(model.dump())))
    assert (again.scorer().predict(found) == scorer.predict(found)).all()


def test_the_heuristic_over_a_horizon_is_that_over_its_steps() -> None:
    """So that nothing jumps at the first label: silence has no other way through a horizon."""
    found, *_ = examples(30, 2)
    cold = ChurnModel(91.0).scorer()
    nearly = replace(cold, fit=(1e-12, 1.0))
    p = cold.predict(found)
    in_between = p < 0.999  # each step is never surer than a limit, and so is the horizon
    assert np.count_nonzero(in_between) > 20
    assert nearly.predict(found)[in_between] == pytest.approx(p[in_between], rel=1e-6)


def test_prospects_make_no_season() -> None:
    """Nor does the time before anybody came: a year later it would be held for one."""
    x, _, _ = examples(planned=False)
    for name in ("visits", "visits_7", "visits_30", "visits_90", "mean_spend"):
        x[:, AT[name]] = 0.0
    model = ChurnModel()
    learn(model, (x, np.ones(len(x), np.int64), np.zeros(len(x), np.int64)))
    assert not model._seasons.table().any()
    x[:, AT["visits"]] = 3.0
    learn(model, (x, np.ones(len(x), np.int64), np.zeros(len(x), np.int64)))
    assert model._seasons.table().any()


# -- the learner and River


def test_learns_what_rivers_own_logistic_learns_on_inputs_scaled_as_rivers() -> None:
    ours, river_scaler = Logistic(INPUTS), preprocessing.StandardScaler()
    theirs = linear_model.LogisticRegression(optim.SGD(3e-4), intercept_lr=3e-4)
    x, silent, _ = examples(400, planned=False)
    values = inputs(facts_of(x), Steps.of(28.0))
    scaled = [dict(zip(INPUTS, row, strict=True)) for row in Scaler(INPUTS).learn(values).values]
    for row, one, y in zip(values.tolist(), scaled, silent.tolist(), strict=True):
        named = dict(zip(INPUTS, row, strict=True))
        river_scaler.learn_one(named)
        expected = {name: min(z, 8.0) for name, z in river_scaler.transform_one(named).items()}
        assert one == pytest.approx(expected, rel=1e-9, abs=1e-9)
        ours.learn(one, y, 0.0, pace=1.0)
        theirs.optimizer.lr.learning_rate = ours._rate.learning_rate
        theirs.intercept_lr.learning_rate = ours._level_rate.learning_rate
        theirs.learn_one(one, bool(y))
    assert ours.log_odds(one) == pytest.approx(theirs._raw_dot_one(one), abs=1e-9)
    assert theirs.intercept != 0.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 120), max_size=6), st.integers(0, 2**16))
def test_many_labels_at_once_teach_what_they_do_one_by_one(cuts: list[int], seed: int) -> None:
    """To the bit, so what a model learns does not depend on how its labels came in."""
    x, silent, closed = examples(120, seed)
    together, apart = ChurnModel(14.0), ChurnModel(14.0)
    learn(together, (x, silent, closed))
    for some in np.split(np.arange(120), sorted(cuts)):
        learn(apart, (x[some], silent[some], closed[some]))
    assert json.dumps(apart.dump()) == json.dumps(together.dump())


def test_models_side_by_side_learn_what_they_do_alone() -> None:
    data, other = examples(400), replace(CHAMPION, seasons=False, cells=20.0)
    champion = ChurnModel(28.0)
    challenger = ChurnModel(28.0, other, champion)
    labels = champion.groundwork.take(data[0], *(each.tolist() for each in data[1:]), [0] * 400)
    champion.learn(labels)
    challenger.learn(labels)
    for model, chosen in ((champion, CHAMPION), (challenger, other)):
        alone = ChurnModel(28.0, chosen)
        learn(alone, data)
        assert model.dump() == alone.dump()


def test_an_offset_is_learned_around_and_not_taken_in() -> None:
    """With the right odds from outside there is nothing left to learn."""
    scaled = dict.fromkeys(INPUTS, 0.0)
    rng = np.random.default_rng(1)
    plain, helped = Logistic(INPUTS), Logistic(INPUTS)
    for y in (rng.random(4000) < 0.9).astype(int).tolist():
        plain.learn(scaled, y, 0.0, pace=1.0)
        helped.learn(scaled, y, float(np.log(9.0)), pace=1.0)
    assert plain.log_odds(scaled) == pytest.approx(np.log(9.0), abs=0.4)
    assert helped.log_odds(scaled) == pytest.approx(0.0, abs=0.4)


@pytest.mark.parametrize(
    ("pace", "rare", "rate"),
    [(1.0, 2, 3e-4 / 0.25), (1e6, 2, 1e-5 / 0.25), (1.0, 1000, 0.02)],
)
def test_rates_fit_base_and_balance(pace: float, rare: int, rate: float) -> None:
    logistic = Logistic(INPUTS)
    for n in range(4000):
        logistic.learn(dict.fromkeys(INPUTS, 0.0), int(n % rare == 0), 0.0, pace)
    assert logistic._rate.learning_rate == pytest.approx(rate, rel=0.01)


# -- the scorer and the learner


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([7.0, 28.0, 91.0, 182.0]), st.floats(-3, 3), st.integers(0, 2**16))
def test_scorer_equals_the_learner(horizon: float, lean: float, seed: int) -> None:
    model = trained(400, seed, lean, horizon)
    model._loss, model.groundwork.loss = 0.0, 1.0  # warm
    x = customers(20, seed + 7)
    expected = [by_hand(model, one[None]) for one in x]
    assert model.scorer().predict(x) == pytest.approx(expected, abs=1e-9)
    closed = [by_hand(model, one[None], closure=True) for one in x]
    assert model.scorer().predict_closed(x) == pytest.approx(closed, abs=1e-9)


def test_a_row_alone_scores_as_among_many() -> None:
    scorer, x = trained().scorer(), customers(20_000)
    for score in (scorer.predict, scorer.predict_closed, scorer.heuristic):
        together = score(x)
        for chunk in (1, 3, 64):
            some = [score(x[i : i + chunk]) for i in range(0, 192, chunk)]
            assert np.concatenate(some).tobytes() == together[:192].tobytes()
        assert score(x[8190:8195]).tobytes() == together[8190:8195].tobytes()
        assert score(np.asfortranarray(x[::7])).tobytes() == together[::7].tobytes()


def test_silence_raises_the_risk_and_steps_multiply() -> None:
    x = np.repeat(customers(1), 50, axis=0)
    x[:, AT["visits"]] = 10
    x[:, AT["recency"]] = np.arange(50)
    x[:, AT["tenure"]] = 100 + np.arange(50)
    risk = ChurnModel().scorer().predict(x)
    assert (np.diff(risk) > 0).all()


@pytest.mark.parametrize("left", [0.9, 0.5, 1.0])
def test_the_further_ahead_the_more_what_is_usual_counts(left: float) -> None:
    zeros, ones = np.zeros(len(INPUTS)), np.ones(len(INPUTS))
    now, usual = (Linear(zeros, ones, zeros, level) for level in (2.0, -1.0))
    x = customers(1, planned=False)
    for days, expected in (
        (7.0, sigmoid(2.0)),
        (28.0, np.prod([sigmoid(-1.0 + 3.0 * left**step) for step in range(4)])),
    ):
        cold = ChurnModel(days, replace(CHAMPION, left=left)).scorer()
        scorer = replace(cold, warm=True, silence=now, usual=usual)
        assert scorer.predict(x) == pytest.approx([expected])


@pytest.mark.parametrize(("days", "count"), [(1, 1), (7, 1), (28, 4), (30, 4), (91, 7), (182, 7)])
def test_a_horizon_is_cut_into_weeks_or_seven(days: float, count: int) -> None:
    steps = Steps.of(days)
    assert steps.count == count
    assert steps.length * count == pytest.approx(days)


# -- calendars


def test_what_a_calendar_does_is_learned() -> None:
    model = trained(6000)
    x = customers(1)
    x[:, [AT["recency"], AT["tenure"], AT["visits"]]] = 5, 200, 4
    x[:, AT["plan_days"]] = 200
    risks = []
    for plan, family in ((0, 0), (1, 1), (2, 2)):
        x[:, AT["plan"]], x[:, AT["family"]] = plan, family
        risks.append(float(model.scorer().predict(x)[0]))
    assert risks[1] > max(risks[0], risks[2]) + 0.1


def test_a_season_is_learned_once_a_horizon_has_been_seen() -> None:
    short, long = trained(300, horizon=600.0), trained(300, horizon=28.0)
    assert short.scorer().seasons.tolist() == [0.0] * 13
    assert np.ptp(long.scorer().seasons) > 0.1


def test_a_plan_not_met_and_a_family_not_met_are_scored() -> None:
    model, x = trained(), customers(3)
    x[:, AT["plan"]], x[:, AT["family"]] = 999, [1, 2, 999]
    x[:, AT["plan_days"]] = 0
    assert np.isfinite(model.scorer().predict(x)).all()


# -- state


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 150), st.integers(0, 2**16))
def test_learning_goes_on_bit_for_bit_after_a_restore(n: int, seed: int) -> None:
    model = trained(n, seed, horizon=14.0)
    restored = ChurnModel.load(json.loads(json.dumps(model.dump())))
    for one in (model, restored):
        learn(one, examples(80, seed + 1))
    assert json.dumps(restored.dump()) == json.dumps(model.dump())
    x = customers(30)
    assert restored.scorer().predict(x).tobytes() == model.scorer().predict(x).tobytes()


def test_a_state_that_names_no_configuration_goes_on_as_it_was_learned() -> None:
    model = trained(300)
    state = model.dump()
    del state["configuration"]
    restored = ChurnModel.load(state)
    for one in (model, restored):
        learn(one, examples(80, 9))
    assert restored.dump() == model.dump()


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 20.0},
        {"level_days": 90.0},
        {"cells": 50.0},
        {"seasons": False},
        {"belief": 10.0},
        {"pull": 1.0},
        {"level_pull": 10.0},
        {"usual": 5.0},
        {"season_prior": 10.0},
    ],
)
def test_a_configuration_is_learned_by_and_kept(change: dict[str, Any]) -> None:
    chosen, data = replace(CHAMPION, **change), examples(400)
    model, usual = ChurnModel(28.0, chosen), ChurnModel(28.0)
    learn(model, data)
    learn(usual, data)
    assert model.dump()["silence"] != usual.dump()["silence"]
    restored = ChurnModel.load(json.loads(json.dumps(model.dump())))
    assert restored.chosen == chosen
    for one in (model, restored):
        learn(one, examples(80, 9))
    assert restored.dump() == model.dump()


def test_of_a_former_configuration_what_today_knows_is_kept() -> None:
    state = trained(300).dump()
    state["configuration"] = {"memory": 0.5, "level": 1.0, "cells": 7.0, "seasons": False}
    assert ChurnModel.load(state).chosen == replace(CHAMPION, cells=7.0, seasons=False)


def test_under_another_configuration_learning_goes_on_and_seasons_are_left_out() -> None:
    chosen, former = replace(CHAMPION, seasons=False), trained(300)
    assert former.scorer().seasons.any()
    found = ChurnModel.load(former.dump(), chosen)
    assert found.labels == former.labels
    assert found.chosen == chosen
    assert not found.scorer().seasons.any()
    learn(found, examples(80, 9))
    assert not found.scorer().seasons.any()


@pytest.mark.parametrize("change", [{"version": 0}, {"format": "x"}, {"features": ["age"]}])
def test_a_state_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelStateError, match="cannot load"):
        ChurnModel.load(ChurnModel().dump() | change)


# -- cold start


def test_an_untrained_model_serves_the_heuristic() -> None:
    x = customers(10)
    expected = [sigmoid(odds) for odds in prior(facts_of(x), Steps.of(28.0))]
    assert ChurnModel().scorer().predict(x) == pytest.approx(expected)


def test_the_heuristic_by_hand() -> None:
    facts = Facts(*np.array([5.0, 2.0, 15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])[:, None])
    alive = 1 / (1 + (29 / 24) ** 1.5 / 3)
    silent = 1 - alive * (1 - (29 / 57) ** 1.5)
    assert prior(facts, Steps.of(28.0)) == pytest.approx([np.log(silent / (1 - silent))])


def test_a_steps_inputs_are_those_of_its_own_length_and_start() -> None:
    facts = Facts(*np.array([5.0, 2.0, 15.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])[:, None])
    found = moving(facts, Steps.of(28.0), ahead=7.0, length=7.0)
    alive = 1 / (1 + (36 / 24) ** 1.5 / 3)
    silent = 1 - alive * (1 - (36 / 43) ** 1.5)
    weight, fades = 1.5 * np.log(36 / 24), [np.log1p(2 ** (-7 / half)) for half in (7, 30, 90)]
    expected = [np.log(13), np.log(23), np.log1p(12 / (24 / 2)), weight]
    assert np.ravel(found) == pytest.approx([*expected, np.log(silent / (1 - silent)), *fades])


def test_the_heuristic_stays_while_it_is_better() -> None:
    model, rng = ChurnModel(), np.random.default_rng(7)
    x = customers(1000, planned=False)
    odds = inputs(facts_of(x), model.steps)[:, INPUTS.index("silence_prior")]
    teach(model, x, rng.random(1000) < 1.0 / (1.0 + np.exp(-odds)))
    assert not model.warm


def test_the_learner_takes_over_when_its_measured_loss_is_lower() -> None:
    model = trained(1200)
    learned, heuristic = model.losses
    assert model.warm
    assert learned < heuristic


def test_closing_is_rare_until_it_was_seen() -> None:
    x, silent, closed = examples(900)
    model, asked = ChurnModel(), customers(50)
    assert (model.scorer().predict_closed(asked) < 0.05).all()
    learn(model, (x, silent, np.zeros_like(closed)))
    never = model.scorer().predict_closed(asked)
    assert (never < 4 * 1 / 900).all()  # rule of succession, four steps


def test_few_closings_give_their_rate_and_more_tell_who() -> None:
    x, silent, closed = examples(900)
    which, asked = np.flatnonzero(closed), customers(50)
    few, more = closed.copy(), closed.copy()
    few[which[9:]], more[which[10:]] = 0, 0
    spread = []
    for some in (few, more):
        model = ChurnModel()
        learn(model, (x, silent, some))
        spread.append(np.ptp(model.scorer().predict_closed(asked)))
        rate = 1 - (1 - 9.5 / 950) ** 4
        if some is few:
            assert model.scorer().predict_closed(asked) == pytest.approx(rate)
    assert spread[0] == 0.0
    assert spread[1] > 0.001


def test_a_constant_input_does_not_explode() -> None:
    x, silent, closed = examples(1200)
    x[:, AT["mean_spend"]] = 1e6 + np.random.default_rng(1).normal(size=1200) * 1e-3
    model = ChurnModel()
    learn(model, (x, silent, closed))
    moved = x.copy()
    moved[:, AT["mean_spend"]] = 0.0
    assert model.warm
    assert (model.scorer().predict(moved) == model.scorer().predict(x)).all()


# -- reasons


def test_contributions_add_up_to_the_odds_of_the_first_step() -> None:
    model, x = trained(1200, horizon=7.0), customers(200)
    scorer = model.scorer()
    odds = scorer.contributions(x).sum(axis=1) + scorer.silence.intercept
    expected = np.clip(1 / (1 + np.exp(-odds)), 1e-4, 1 - 1e-4)
    assert model.warm
    assert scorer.predict(x) == pytest.approx(expected, abs=1e-9)


def test_reasons_are_the_largest_signed_contributions() -> None:
    x = customers(50)
    scorer = trained(1200).scorer()
    for row, reasons in zip(scorer.contributions(x), scorer.reasons(x, top=2), strict=True):
        sizes = [abs(value) for _, value in reasons]
        assert sizes == sorted(np.abs(row), reverse=True)[:2]
        assert all(row[REASONS.index(name)] == value for name, value in reasons)
    (((name, _),),) = ChurnModel().scorer().reasons(x[:1])
    assert name == "silence_prior"
