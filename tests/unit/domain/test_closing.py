"""Two ways of closing an account, learned apart; one that never happens does not exist."""

import json
from dataclasses import replace

import numpy as np
import pytest

from shared.domain.churn import ChurnModel
from shared.domain.closing import MIN_CLOSED
from shared.domain.evaluation import Tally
from shared.domain.features import FEATURES, Floats
from shared.domain.learner import Learner
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.domain.policy import DAY_MS
from shared.domain.reasons import explain
from shared.domain.scoring import Served
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    account,
    live,
    partition,
    run,
    tick,
    usage,
)
from tests.unit.domain.leaving import POLICY
from tests.unit.domain.teaching import customers, teach
from tests.unit.domain.test_churn import trained

FAILED, COMPLAINED = FEATURES.index("payments_failed"), FEATURES.index("complained")
COMPLAINTS = FEATURES.index("complaints")


def two_ways(n: int = 4_000, seed: int = 3) -> tuple[Floats, list[int], list[int]]:
    """Who owes is put out, who complains leaves; both seldom without a cause."""
    x, rng = customers(n, seed, planned=False), np.random.default_rng(seed)
    x[:, FAILED] = rng.random(n) < 0.2
    x[:, COMPLAINTS] = x[:, COMPLAINED] = rng.random(n) < 0.2
    forced = rng.random(n) < np.where(x[:, FAILED] > 0, 0.15, 0.01)
    left = rng.random(n) < np.where(x[:, COMPLAINED] > 0, 0.15, 0.01)
    return x, (forced | left).astype(int).tolist(), forced.astype(int).tolist()


def learned(x: Floats, closed: list[int], forced: list[int]) -> ChurnModel:
    return teach(ChurnModel(), x, np.arange(len(x)) % 2, closed, forced)


def test_each_way_is_told_by_its_own_cause() -> None:
    scorer = learned(*two_ways()).scorer()
    x, closed, forced = two_ways(seed=4)
    said = scorer.predict_involuntary(x)
    owing, complaining = x[:, FAILED] > 0, x[:, COMPLAINED] > 0
    assert said[owing].mean() > 3 * said[~owing].mean()
    assert said[complaining].mean() < 1.5 * said[~complaining].mean()
    told, confused = Tally(), Tally()
    for n, p in enumerate(scorer.predict_closed(x).tolist()):
        told.update(float(said[n]), forced[n])
        confused.update(p, forced[n])
    assert sum(forced) > 100
    assert told.auc() > confused.auc() + 0.03
    assert sum(closed) > sum(forced)


def test_an_account_stays_open_as_long_as_neither_happens() -> None:
    x, closed, forced = two_ways()
    scorer = learned(x, closed, forced).scorer()
    voluntary = replace(scorer, forced=None).predict_closed(x)
    stays = (1 - voluntary) * (1 - scorer.predict_involuntary(x))
    assert scorer.predict_closed(x) == pytest.approx(1 - stays, abs=1e-12)


def test_a_way_that_nobody_went_does_not_exist() -> None:
    """To the bit: neither in what is said nor in what is kept."""
    model, x = trained(planned=False), customers(100)
    scorer = model.scorer()
    assert scorer.forced is None
    assert scorer.predict_involuntary(x).tolist() == [0.0] * 100
    former = model.dump()
    del former["forced"], former["forced_signals"]
    again = ChurnModel.load(former).scorer()
    assert again.predict_closed(x).tobytes() == scorer.predict_closed(x).tobytes()


def test_few_give_their_rate_and_more_tell_who() -> None:
    x, _, forced = two_ways()
    which = np.flatnonzero(forced)
    for count, tells in ((1, False), (MIN_CLOSED - 1, False), (MIN_CLOSED + 20, True)):
        some = np.zeros(len(x), int)
        some[which[:count]] = 1
        said = learned(x, some.tolist(), some.tolist()).scorer().predict_involuntary(x)
        assert (np.ptp(said) > 0) == tells
        if not tells:
            rate = (count + 0.5) / (len(x) + 50)
            assert said == pytest.approx(1 - (1 - rate) ** 4)


@pytest.mark.parametrize("cut", [10, 2_000])
def test_learning_goes_on_from_a_dump_to_the_bit(cut: int) -> None:
    """Also where nobody was put out yet, and labels were passed over."""
    x, closed, forced = two_ways()
    forced[:500] = [0] * 500
    closed = [max(one) for one in zip(closed, forced, strict=True)]
    whole, silent = learned(x, closed, forced), np.arange(len(x)) % 2
    first = learned(x[:cut], closed[:cut], forced[:cut])
    again = ChurnModel.load(json.loads(json.dumps(first.dump())))
    teach(again, x[cut:], silent[cut:], closed[cut:], forced[cut:])
    assert again.dump() == whole.dump()


def test_its_reasons_are_named_behind_those_of_silence() -> None:
    scorer = learned(*two_ways()).scorer()
    x = customers(2, planned=False)
    x[1, FAILED] = 2
    nobody, owing = explain(scorer, x)
    assert {one.of for one in nobody} == {"silent"}
    (closing,) = (one for one in owing if one.of == "closed")
    assert owing[-1] == closing
    assert (closing.feature, closing.text) == ("payments_failed", "payment failed twice")
    assert closing.contribution > 1.0


# -- how an account was closed, in labels


def labels(events: list[Json], delayed: list[Json] | None = None) -> dict[bool, Example]:
    """Return the labels of the last snapshot before day 30, of the step and of the horizon."""
    target = partition(POLICY)
    first = [usage("a", T0 + n * DAY_MS) for n in range(30)]
    records = live([*first, tick(T0 + 30 * DAY_MS), *events])
    records += [
        one._replace(timestamp=records[-1].timestamp)
        for one in live([*(delayed or ()), tick(T0 + 70 * DAY_MS)], offset=len(records))
    ]
    records[-1] = records[-1]._replace(timestamp=T0 + 70 * DAY_MS)
    found = run(target, records, policy=POLICY).examples
    last = max(one.at for one in found if one.at <= T0 + 30 * DAY_MS)
    return {one.learned: one for one in found if one.at == last}


def at(day: float, status: str, **data: object) -> Json:
    return account("a", T0 + 30 * DAY_MS + round(day * DAY_MS), status, **data)


@pytest.mark.parametrize(
    ("events", "step", "horizon"),
    [
        ([at(0.5, "closed")], (True, False), (True, False)),
        ([at(0.1, "payment_failed"), at(0.5, "closed")], (True, True), (True, True)),
        ([at(0.1, "overdue"), at(15, "closed")], (False, False), (True, True)),
        ([at(0.5, "closed", voluntary=False)], (True, True), (True, True)),
        (
            [at(0.1, "overdue"), at(0.5, "closed", voluntary=True)],
            (True, False),
            (True, False),
        ),
        (  # paid, and let in again
            [at(0.1, "overdue"), at(0.5, "closed"), at(3, "settled"), at(3.5, "opened")],
            (True, True),
            (True, True),
        ),
    ],
)
def test_a_label_says_how_the_account_was_closed(
    events: list[Json], step: tuple[bool, bool], horizon: tuple[bool, bool]
) -> None:
    found = labels(events)
    assert (found[True].closed, found[True].involuntary) == step
    assert (found[False].closed, found[False].involuntary) == horizon


def test_a_failure_that_is_told_of_after_the_end_still_tells_how_it_ended() -> None:
    failed, closed = at(0.1, "payment_failed"), at(0.5, "closed")
    for one in labels([closed], delayed=[failed]).values():
        assert (one.closed, one.involuntary) == (True, True)
    settled = at(0.3, "settled")
    for late in ([failed, settled], [settled, failed]):
        for one in labels([closed], delayed=late).values():
            assert (one.closed, one.involuntary) == (True, False)


def test_a_score_tells_both() -> None:
    scorer = learned(*two_ways()).scorer()
    target = partition(POLICY)
    target._scoring.model = Served(3, scorer)
    events = [usage("a", T0), account("a", T0 + HOUR_MS, "payment_failed")]
    score = run(target, live(events), policy=POLICY).scores[-1]
    features = np.array([score.features])
    assert score.p_involuntary == scorer.predict_involuntary(features)[0] > 0.1
    assert score.p_closed == scorer.predict_closed(features)[0] > score.p_involuntary
    assert "payment failed once" in {one.text for one in score.reasons}


def test_the_trainers_learner_tells_both_ways_apart() -> None:
    learner = Learner()
    for n, row in enumerate(two_ways(40)[0]):
        example = Example(
            origin=Identity(0, n, 0),
            at=n,
            labelled_at=n,
            features=row.tolist(),
            silent=False,
            predicted=0.4,
            heuristic=0.4,
            model=0,
            recent=True,
            closed=n > 20,
            involuntary=n > 30,
        )
        learner.take(n, Training(Watermark(0, n), [example]))
    for model in (learner.model, learner.challenger):
        assert model.groundwork.closure.logistic.positives == 10
        assert model.groundwork.forced.logistic.positives == 9
