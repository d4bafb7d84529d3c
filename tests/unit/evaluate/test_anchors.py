"""Anchors know what was known, and are what they are called."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.evaluate.anchors import RETRAIN_MS, Anchors, Said
from services.evaluate.service import AtCut, Evaluated, EvaluationError, Span, evaluate
from shared.adapters.event_files import Good
from shared.domain.accuracy import accuracy
from shared.domain.features import FEATURES, Floats
from shared.domain.forecasts import Forecast, Labels, Outcome
from shared.domain.policy import DAY_MS, Policy
from tests.unit.cli.test_cli import run
from tests.unit.domain.histories import T0
from tests.unit.evaluate.builders import DAYS, orders, purchases, write_csv

POLICY = Policy(horizon_ms=14 * DAY_MS, cadence_days=7)
CUT = T0 + 80 * DAY_MS
TENURE = FEATURES.index("tenure")


@pytest.fixture(scope="module")
def history() -> Evaluated:
    events = sorted(purchases(orders()), key=lambda one: one[0])
    goods = (Good(line, at, value) for line, (at, value) in enumerate(events))
    span = Span.of(T0, T0 + DAYS * DAY_MS, until=None, cuts=[CUT])
    return evaluate(goods, POLICY, span)


def cut_of(history: Evaluated) -> AtCut:
    return history.cuts[CUT]


class Noted:
    """A batch model that says when it was trained, and checks what it was trained on."""

    def __init__(self, known: Labels, taken: Labels) -> None:
        self.p = len(known.at) / 1e6
        self.newest = int(known.labelled_at.max())
        self.newest_taken = int(taken.at.max())

    def say(self, features: Floats) -> Said:
        said = np.full(len(features), self.p)
        return said, said


def train(known: Labels, taken: Labels) -> Noted | None:
    return Noted(known, taken) if len(known.at) else None


def test_what_is_said_of_a_snapshot_was_known_when_it_was_taken(history: Evaluated) -> None:
    labels = history.labels
    anchors = Anchors(labels, POLICY.horizon_days, batch=False)
    anchors._models["noted"] = train
    _, p = anchors.at_labels["noted"]
    for at, said, heuristic in zip(labels.at, p, labels.heuristic, strict=True):
        trained_at = at // RETRAIN_MS * RETRAIN_MS
        known = np.count_nonzero(labels.labelled_at <= trained_at)
        assert said == (known / 1e6 if known else heuristic)
    assert len(set(p.tolist())) > 3


def test_at_the_cut_all_that_is_known_by_then_is_used(history: Evaluated) -> None:
    labels = history.labels
    anchors = Anchors(labels, POLICY.horizon_days, batch=False)
    anchors._models["noted"] = train
    _, p = anchors.at_cut(cut_of(history))["noted"]
    assert set(p.tolist()) == {np.count_nonzero(labels.labelled_at <= CUT) / 1e6}


def test_several_cuts_are_what_each_is_alone(history: Evaluated) -> None:
    events = sorted(purchases(orders()), key=lambda one: one[0])
    goods = (Good(line, at, value) for line, (at, value) in enumerate(events))
    second = CUT + POLICY.horizon_ms  # which is when the outcome of the first is known
    found = evaluate(goods, POLICY, Span.of(T0, T0 + DAYS * DAY_MS, until=None, cuts=[CUT, second]))
    assert list(found.cuts) == [CUT, second]
    first, alone = found.cuts[CUT], cut_of(history)
    assert first.customers == alone.customers
    assert first.base.forecast.silent.tolist() == alone.base.forecast.silent.tolist()
    for cut in found.cuts.values():
        assert cut.outcome is not None
    assert first.outcome is not None
    assert alone.outcome is not None
    assert first.outcome.silent.tolist() == alone.outcome.silent.tolist()


def test_of_closings_batch_models_learn_closings(history: Evaluated) -> None:
    features, silent = simulated(3000, 4)
    closed = np.random.default_rng(5).random(3000) < np.where(features[:, TENURE] > 120, 0.3, 0.02)
    nothing = np.zeros(3000)
    labels = replace(fitted(features), outcome=Outcome(silent, closed, nothing, closed))
    base = replace(cut_of(history).base, features=features)
    found = Anchors(labels, 28.0, batch=True).closed_at_cut(AtCut(base, [], None))
    assert found.keys() == {"lightgbm"}
    rank, p = found["lightgbm"]
    assert accuracy(p, closed, rank).auc > 0.75
    assert accuracy(p, silent, rank).auc < 0.65
    assert p.mean() == pytest.approx(closed.mean(), abs=0.02)
    none = Anchors(history.labels, POLICY.horizon_days, batch=True)
    assert not none.closed_at_cut(cut_of(history))


def test_recency_ranks_by_days_of_silence(history: Evaluated) -> None:
    cut = cut_of(history)
    rank, p = Anchors(history.labels, 14.0, batch=False).at_cut(cut)["recency"]
    recency = cut.base.features[:, FEATURES.index("recency")]
    assert np.argsort(rank).tolist() == np.argsort(recency).tolist()
    assert p == pytest.approx(recency / (recency + 14.0))


def test_without_the_packages_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    file = write_csv(tmp_path / "a.csv", orders())
    assert run(monkeypatch, "evaluate", str(file), "--anchors") == 2
    assert "pip install 'tenure[anchors]'" in capsys.readouterr().err
    with pytest.raises(EvaluationError, match="lightgbm"):
        Anchors(fitted(np.empty((0, len(FEATURES)))), 14.0, batch=True)


def fitted(features: Floats) -> Labels:
    """Return labels whose features are all that counts."""
    n = len(features)
    nothing, times = np.zeros(n), np.zeros(n, np.int64)
    none = np.zeros(n, np.bool_)
    return Labels(
        customer=np.arange(n),
        at=times,
        labelled_at=times,
        forecast=Forecast(nothing, nothing, nothing, nothing),
        outcome=Outcome(none, none, nothing, none),
        heuristic=nothing,
        recent=none,
        features=features,
        challenger=nothing,
    )


def simulated(n: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Return customers of an MBG/NBD (r, alpha = 10 days, a = .8, b = 2.5) and silence after it."""
    random = np.random.default_rng(seed)
    features, silent = np.zeros((n, len(FEATURES))), np.zeros(n, np.bool_)
    for row in range(n):
        rate = random.gamma(1.2) / 10.0
        leaves = random.beta(0.8, 2.5)
        age = random.uniform(60.0, 200.0)
        visits, last, at = 1, 0.0, 0.0
        alive = random.random() > leaves
        while alive:
            at += random.exponential(1.0 / rate)
            if at > age:
                break
            visits, last = visits + 1, at
            alive = random.random() > leaves
        silent[row] = not alive or at > age + 28.0
        for name, value in {"visits": visits, "recency": age - last, "tenure": age}.items():
            features[row, FEATURES.index(name)] = value
    return features, silent


def test_mbg_nbd_recovers_what_made_the_customers() -> None:
    from services.evaluate.mbg_nbd import MbgNbd

    features, silent = simulated(4000, 1)
    model = MbgNbd.fit(fitted(features), 28.0)
    assert model is not None
    rank, p = model.say(features)
    found = accuracy(p, silent, rank)
    assert found.ece < 0.02
    assert found.auc > 0.75
    r, alpha, a, b = model.parameters
    assert r == pytest.approx(1.2, rel=0.25)
    assert alpha * 28 == pytest.approx(10.0, rel=0.35)
    assert a / (a + b) == pytest.approx(0.8 / 3.3, rel=0.2)


def test_too_few_customers_fit_nothing() -> None:
    from services.evaluate.mbg_nbd import MbgNbd

    assert MbgNbd.fit(fitted(simulated(50, 2)[0]), 28.0) is None


def test_boosting_learns_what_there_is_to_learn() -> None:
    from services.evaluate.boosting import Boosting

    features, silent = simulated(3000, 3)
    model = Boosting.fit(features[:2000], silent[:2000], 28.0, plans=False)
    assert model is not None
    found = accuracy(model.say(features[2000:])[1], silent[2000:])
    assert found.auc > 0.75
    assert found.ece < 0.06
    assert Boosting.fit(features[:50], silent[:50], 28.0, plans=True) is None


def test_boosting_says_nothing_of_plans_where_programs_read(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from services.evaluate.boosting import Boosting

    features, silent = simulated(1000, 3)
    features[:, FEATURES.index("plan")] = np.arange(1000) % 4 * 4_000_000  # codes are far apart
    assert Boosting.fit(features, silent, 28.0, plans=True) is not None
    assert capfd.readouterr().out == ""
