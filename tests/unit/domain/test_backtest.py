"""A backtest predicts as the scorer would have, and knows nothing of what comes after."""

import json
from collections.abc import Iterable
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from shared.domain import learner as learner_module
from shared.domain.backtest import Backtest
from shared.domain.batch import Record, read_batch
from shared.domain.churn import ChurnModel
from shared.domain.forecasts import Base, Forecast, Labels, Outcome
from shared.domain.identity import hash64
from shared.domain.learner import Learner, served
from shared.domain.outputs import Example, Training, Watermark
from shared.domain.partition import Partition
from shared.domain.policy import DAY_MS, Policy
from shared.domain.scoring import Served, cold_model
from shared.domain.value import unscaled_spend
from tests.unit.domain.histories import (
    HOUR_MS,
    T0,
    Json,
    account,
    activation,
    purchase,
    tick,
    usage,
)

POLICY = Policy(horizon_ms=14 * DAY_MS, cadence_days=7)
HORIZON = POLICY.horizon_ms
END = T0 + 150 * DAY_MS
CUT = T0 + 101 * DAY_MS + 7 * HOUR_MS

Event = tuple[int, bytes]


@pytest.fixture(autouse=True)
def eager_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish after a few labels, so that a small history sees many models."""
    monkeypatch.setattr(learner_module, "_STEP", 10)


def encoded(events: Iterable[tuple[int, Json]]) -> list[Event]:
    found = [(at, json.dumps(event).encode()) for at, event in events]
    return sorted(found, key=lambda one: one[0])


def shop(customers: int = 60, seed: int = 1) -> list[Event]:
    """Return purchases of customers with rates of their own who leave by and by."""
    random = Random(seed)
    events = []
    for number in range(customers):
        at = T0 + random.randrange(90 * DAY_MS)
        rate = random.choice([3, 9, 30]) * DAY_MS
        while at < END and random.random() > 0.05:
            events.append((at, purchase(f"c{number}", at, random.randrange(1, 50))))
            at += int(random.expovariate(1 / rate)) + 1
    return encoded(events)


def run(
    events: Iterable[Event], until: int = END, stops: Iterable[int] = (), policy: Policy = POLICY
) -> tuple[Backtest, dict[int, Base]]:
    """Return the backtest at its end, and the base at each stop."""
    backtest, bases, wanted = Backtest(policy), {}, set(stops)
    for stretch in backtest.run(events, until, wanted):
        if stretch.now in wanted:
            bases[stretch.now] = backtest.base()
    return backtest, bases


def columns(labels: Labels) -> list[list[float]]:
    forecast, outcome = labels.forecast, labels.outcome
    found = (
        labels.customer, labels.at, labels.labelled_at, forecast.silent, outcome.silent,
        outcome.closed, labels.heuristic, labels.recent, forecast.closed, forecast.spend,
        outcome.spend,
    )  # fmt: skip
    return [column.tolist() for column in found]


def test_what_comes_after_a_time_changes_nothing_before_it() -> None:
    events = shop()
    whole, whole_bases = run(events, stops=[CUT])
    part, part_bases = run([one for one in events if one[0] <= CUT], until=CUT, stops=[CUT])
    left, right = whole_bases[CUT], part_bases[CUT]
    assert len(left.customer) > 30
    assert left.forecast.silent.tolist() == right.forecast.silent.tolist()
    assert left.customer.tolist() == right.customer.tolist()
    known = whole.labels().where(whole.labels().labelled_at <= CUT)
    assert len(known.at) > 100
    assert columns(known) == columns(part.labels())


def test_what_a_challenger_said_is_what_it_would_have_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A history with the challenger in the champion's place serves what was in the shadow."""
    # Few labels, or both would serve the heuristic.
    monkeypatch.setattr(ChurnModel, "warm", property(lambda model: model.labels > 50))
    beside, alone = Backtest(POLICY), Backtest(POLICY)
    alone.learner.model, alone.learner.challenger = alone.learner.challenger, alone.learner.model
    for backtest in (beside, alone):
        list(backtest.run(shop(), END))
    shadow, said = beside.labels().challenger, alone.labels().forecast.silent
    assert shadow.tolist() == pytest.approx(said.tolist(), rel=1e-6)  # kept in four bytes
    assert np.abs(shadow - beside.labels().forecast.silent).max() > 0.001


def leavers(events: list[Event]) -> list[Event]:
    """Return closings of some customers, a day after their last event."""
    last = {json.loads(value)["subject"]: at for at, value in events}
    some = [customer for number, customer in enumerate(sorted(last)) if number % 3 == 0]
    closings = [
        (last[each] + DAY_MS, account(each, last[each] + DAY_MS, "closed")) for each in some
    ]
    return encoded(closings)


def oracle(events: list[Event], until: int) -> list[tuple[object, ...]]:
    """Do what scorer and trainer do, with nothing left out, day by day."""
    partition, learner = Partition(0, lambda _: 0, POLICY), Learner(POLICY.horizon_days)
    models = {0: cold_model(POLICY.horizon_days)}
    measured: list[tuple[object, ...]] = []
    activations: list[bytes] = []
    for day in range(T0 // DAY_MS, until // DAY_MS + 1):
        end = day * DAY_MS
        found = [value for at, value in events if end - DAY_MS < at <= end]
        parts = [*activations, *found, json.dumps(tick(end)).encode()]
        records = [
            Record(partition.offset + number, end, value) for number, value in enumerate(parts)
        ]
        effects = partition.apply(read_batch(0, records, 0), models)
        measured += [columns_of(one, models) for one in effects.examples if one.measured]
        training = Training(Watermark(0, partition.now), effects.examples)
        activations = []
        for snapshot in learner.take(partition.offset, training):
            models[snapshot.version] = served(snapshot)
            made = activation(snapshot.at, snapshot.version)
            activations.append(json.dumps(made).encode())
    return measured


def columns_of(one: Example, models: dict[int, Served]) -> tuple[object, ...]:
    closed = models[one.model].scorer.predict_closed(np.array([one.features]))[0]
    return (
        one.at, one.labelled_at, one.silent, one.closed, one.predicted, closed, one.heuristic,
        one.recent,
    )  # fmt: skip


def test_it_predicts_what_scorer_and_trainer_would_have() -> None:
    events = shop()
    events = sorted(events + leavers(events), key=lambda one: one[0])
    backtest, _ = run(events)
    labels = backtest.labels()
    scorer = oracle(events, END)
    assert len(scorer) > 200
    assert backtest.served.version > 5
    assert labels.outcome.closed.any()
    forecast, outcome = labels.forecast, labels.outcome
    found = zip(
        labels.at.tolist(), labels.labelled_at.tolist(), outcome.silent.tolist(),
        outcome.closed.tolist(), forecast.silent.tolist(), forecast.closed.tolist(),
        labels.heuristic.tolist(), labels.recent.tolist(), strict=True,
    )  # fmt: skip
    assert list(found) == scorer


def test_churn_is_silence_or_closing() -> None:
    forecast = Forecast(
        np.array([0.2, 0.9]), np.array([0.5, 0.0]), np.zeros(2), np.array([0.25, 0.0])
    )
    assert forecast.churn.tolist() == pytest.approx([0.6, 0.9])
    outcome = Outcome(
        np.array([True, False, False]),
        np.array([False, True, False]),
        np.zeros(3),
        np.zeros(3, np.bool_),
    )
    assert outcome.churn.tolist() == [True, True, False]


def bought_in(events: list[Event], customer: str, since: int, until: int) -> list[float]:
    found = [json.loads(value) for at, value in events if since < at <= until]
    return [one["data"]["amount"] for one in found if one["subject"] == customer]


def test_each_label_is_that_of_its_customer() -> None:
    events = shop(customers=25)
    backtest, _ = run(events)
    labels = backtest.labels()
    assert len(set(labels.customer.tolist())) == 25
    for row, at, silent in zip(labels.customer, labels.at, labels.outcome.silent, strict=True):
        customer = backtest.table.ids[row]
        assert hash64(customer) % 96 == at // (15 * 60_000) % 96  # reviewed at its own mark
        assert silent == (not bought_in(events, customer, at, at + HORIZON))


def outcome_at(events: list[Event], cut: int) -> tuple[Backtest, Base, Outcome]:
    backtest, base = Backtest(POLICY), None
    for stretch in backtest.run(events, cut + HORIZON, [cut, cut + HORIZON]):
        if stretch.now == cut:
            base = backtest.base()
    assert base is not None
    return backtest, base, backtest.outcome(base)


def test_the_outcome_of_a_base_is_what_was_bought_within_the_horizon() -> None:
    events = shop()
    backtest, base, outcome = outcome_at(events, CUT)
    assert 0 < np.count_nonzero(outcome.silent) < len(base.customer)
    assert outcome.visits is not None
    for row, silent, spend, visits in zip(
        base.customer, outcome.silent, outcome.spend, outcome.visits, strict=True
    ):
        bought = bought_in(events, backtest.table.ids[row], CUT, CUT + HORIZON)
        assert (visits > 0) == bool(bought)
        assert visits <= len(bought)
        assert silent == (not bought)
        assert spend == pytest.approx(sum(bought))


def test_activity_at_the_cut_itself_is_before_it() -> None:
    events = encoded([(CUT, purchase("a", CUT)), (CUT + HORIZON, purchase("b", CUT + HORIZON))])
    _, base, outcome = outcome_at(encoded([(T0, purchase("b", T0))]) + events, CUT)
    assert len(base.customer) == 2
    assert outcome.silent.tolist() == [False, True]


def contracts() -> list[Event]:
    """Return accounts that close around a cut: each customer is named after what happens."""
    around = {
        "closed-before": CUT - 1,
        "closed-at-cut": CUT,
        "closed-after": CUT + 1,
        "closed-last": CUT + HORIZON,
        "closed-too-late": CUT + HORIZON + 1,
    }
    names = [*around, "reopened", "open", "signed-up-only"]
    events = [(T0 + 1, account(name, T0 + 1, "opened")) for name in names]
    events += [(T0 + 2, usage(name, T0 + 2)) for name in names[:-1]]
    events += [(at, account(name, at, "closed")) for name, at in around.items()]
    events += [
        (CUT + 5, account("reopened", CUT + 5, "closed")),
        (CUT + 6, account("reopened", CUT + 6, "opened")),
        (CUT, account("reopened-at-cut", CUT, "closed")),
        (CUT, account("reopened-at-cut", CUT, "opened")),
    ]
    return encoded(events)


def test_a_base_is_everybody_who_is_not_closed() -> None:
    backtest, base, _ = outcome_at(contracts(), CUT)
    known = {backtest.table.ids[row] for row in base.customer}
    assert known == {
        "closed-after", "closed-last", "closed-too-late", "reopened", "reopened-at-cut", "open",
        "signed-up-only",
    }  # fmt: skip


def test_closed_means_closed_within_the_horizon_even_if_opened_again() -> None:
    backtest, base, outcome = outcome_at(contracts(), CUT)
    closed = {backtest.table.ids[row] for row in base.customer[outcome.closed]}
    assert closed == {"closed-after", "closed-last", "reopened"}
    assert outcome.churn.all()  # nobody used anything


def test_a_closing_labels_the_snapshots_of_the_horizon_before_it() -> None:
    events = contracts()
    backtest, _ = run(events, until=CUT + 2 * HORIZON)
    labels = backtest.labels()
    reopened = labels.customer == backtest.table.find("reopened")
    found = dict(zip(labels.at[reopened], labels.outcome.closed[reopened], strict=True))
    assert {True, False} == set(found.values())
    assert all(closed == (at < CUT + 5 <= at + HORIZON) for at, closed in found.items())


def test_a_label_tells_what_was_spent_within_the_horizon_and_nothing_else() -> None:
    """Up to what was spent in the day of grace after it, which counts by the horizon's share."""
    events = shop(customers=25)
    backtest, _ = run(events)
    labels = backtest.labels()
    paid = 0
    for row, at, until, silent, spend in zip(
        labels.customer, labels.at, labels.labelled_at, labels.outcome.silent,
        labels.outcome.spend, strict=True,
    ):  # fmt: skip
        bought = sum(bought_in(events, backtest.table.ids[row], at, until))
        expected = 0.0 if silent else bought * HORIZON / (until - at)
        assert spend == pytest.approx(expected, abs=1e-3)
        paid += spend > 0
    assert 50 < paid < len(labels.at)


def test_expected_spend_is_learned_from_what_was_spent() -> None:
    backtest, bases = run(shop(customers=100), stops=[CUT])
    labels, base = backtest.labels(), bases[CUT]
    known = labels.where(labels.labelled_at <= CUT)
    unscaled = unscaled_spend(known.features, known.forecast.silent, POLICY.horizon_days)
    level = known.outcome.spend.sum() / unscaled.sum()
    assert abs(level - 1) > 0.1
    at_one = unscaled_spend(base.features, base.forecast.silent, POLICY.horizon_days)
    # a model is served some labels after the last one it learned
    assert base.forecast.spend.sum() / at_one.sum() == pytest.approx(level, rel=0.05)
    assert (base.value > base.forecast.spend).any()


def test_recent_customers_are_those_active_within_two_horizons() -> None:
    late, early = CUT - 2 * HORIZON, CUT - 2 * HORIZON - 1
    events = encoded(
        [
            (T0, account("never", T0, "opened")),
            (early, purchase("before", early)),
            (late, purchase("within", late)),
        ]
    )
    backtest, bases = run(events, until=CUT, stops=[CUT])
    recent = bases[CUT].customer[bases[CUT].recent]
    assert [backtest.table.ids[row] for row in recent] == ["within"]


def test_stretches_end_at_midnights_and_stops_and_hold_each_event_once() -> None:
    events = shop(customers=5)
    stops = [T0 + 5 * HOUR_MS + 1, CUT, END + 1]
    stretches = list(Backtest(POLICY).run(events, END - 1, stops))
    ends = [stretch.now for stretch in stretches]
    assert {*stops[1:2], END - 1} <= set(ends)
    assert set(range(ends[0], END - 1, DAY_MS)) <= set(ends) | {END - 1}
    assert max(np.diff(ends)) <= DAY_MS
    assert ends == sorted(set(ends))
    assert sum(stretch.events for stretch in stretches) == sum(at < END for at, _ in events)


def test_an_event_at_a_stop_belongs_to_what_comes_before_it() -> None:
    events = encoded([(CUT, purchase("a", CUT)), (CUT + 1, purchase("b", CUT + 1))])
    _, bases = run(events, until=CUT + DAY_MS, stops=[CUT])
    assert len(bases[CUT].customer) == 1


def test_nothing_gives_nothing() -> None:
    backtest, _ = run([])
    assert len(backtest.labels().at) == 0
    assert not list(Backtest(POLICY).run(shop(), T0 - 1))


def test_the_labels_of_a_day_count_from_the_next_stretch_on() -> None:
    backtest = Backtest(POLICY)
    versions = {}
    for stretch in backtest.run(shop(), END):
        versions[stretch.now] = (backtest._partition.model.version, backtest.learner.version)
    days = sorted(versions)
    lagged = [versions[after][0] == versions[before][1] for before, after in pairwise(days)]
    assert all(lagged)
    assert versions[days[-1]][1] > 5


def test_a_base_is_scored_by_what_was_learned_by_then() -> None:
    backtest = Backtest(POLICY)
    for stretch in backtest.run(shop(), END, [CUT]):
        if stretch.now == CUT:
            assert backtest.served.version == backtest.learner.version > 0
