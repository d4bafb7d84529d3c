"""What a scorer shows at ``/metrics`` while it works, while it trains, and after that."""

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from services.scorer import gauges
from services.scorer.memory import MemorySourceLog
from services.scorer.worker import PartitionWorker
from shared.domain.batch import Record
from shared.domain.emission import Effects
from shared.domain.features import FEATURES
from shared.domain.learner import Learner
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.domain.partition import Position
from tests.unit.domain.histories import POLICY, T0, partition, record, usage
from tests.waiting import until


def shown(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(name, labels)
    assert value is not None, name
    return value


class Growth:
    """How much counters have grown since this was made."""

    def __init__(self, *names: tuple[str, dict[str, str]]) -> None:
        self._before = [(name, labels, shown_or_0(name, labels)) for name, labels in names]

    def __call__(self) -> list[float]:
        return [shown_or_0(name, labels) - before for name, labels, before in self._before]


def shown_or_0(name: str, labels: dict[str, str]) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class HeldStore:
    """Commits when it is let; loads nothing."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.committing = asyncio.Event()

    async def commit(self, effects: Sequence[Effects], position: Position) -> None:
        self.committing.set()
        await self.let.wait()

    async def close(self) -> None:
        pass


class NoModels:
    async def get(self, version: int) -> None:
        return None

    async def at_most(self, version: int) -> None:
        return None


@pytest.fixture
async def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
async def worker(store: HeldStore) -> Iterator[PartitionWorker]:
    failures: list[BaseException] = []
    worker = PartitionWorker(
        partition(),
        store=store,
        models=NoModels(),
        source=MemorySourceLog(),
        policy=POLICY,
        fail=failures.append,
    )
    worker.start()
    yield worker
    store.let.set()  # or a test that failed before it did would wait here for ever
    await worker.stop()
    assert failures == []


def refresh(workers: Sequence[PartitionWorker], learner: Learner | None = None) -> None:
    scorer = SimpleNamespace(workers=dict(enumerate(workers)))
    gauges.refresh(scorer, SimpleNamespace(learner=learner), lag=7, committed_lag=9)


async def take(worker: PartitionWorker, *records: Record) -> asyncio.Event:
    """Submit records; the event says that the last of them is acknowledged."""
    durable = asyncio.Event()
    for one in records[:-1]:
        await worker.submit(one, lambda: None)
    await worker.submit(records[-1], durable.set)
    return durable


async def test_dead_letters_are_counted_by_why_they_are_ones(
    worker: PartitionWorker, store: HeldStore
) -> None:
    store.let.set()
    name = "tenure_scorer_dead_letters_total"
    grown = Growth(*((name, {"reason": reason}) for reason in ("unreadable", "time", "field")))
    bad = usage("c", T0)
    bad["data"] = {"service": "voice", "quantity": -1}
    future = usage("c", T0 + POLICY.future_tolerance_ms + 1)
    durable = await take(
        worker, Record(0, T0, b"{"), record(1, [bad, bad, usage("c", T0), future], T0)
    )
    await asyncio.wait_for(durable.wait(), 10)
    assert grown() == [1, 1, 2]


async def test_the_way_of_an_event_is_timed_from_the_brokers_append(
    worker: PartitionWorker, store: HeldStore
) -> None:
    store.let.set()
    name = "tenure_scorer_event_to_state_seconds"
    grown = Growth((f"{name}_count", {}), (f"{name}_sum", {}))
    appended = round((time.time() - 40) * 1000)
    durable = await take(worker, record(0, [usage("c", appended), usage("d", appended)], appended))
    await asyncio.wait_for(durable.wait(), 10)
    records, seconds = grown()
    assert records == 1
    assert 40 <= seconds < 60


async def test_a_transaction_that_hangs_shows_its_age(
    worker: PartitionWorker, store: HeldStore
) -> None:
    name = "tenure_scorer_transaction_open_seconds"
    durable = await take(worker, record(0, [usage("c", T0)], T0))
    await asyncio.wait_for(store.committing.wait(), 10)

    def age() -> float:
        refresh([worker])
        return shown(name)

    await until(lambda: age() > 0.05, 10)
    store.let.set()
    await asyncio.wait_for(durable.wait(), 10)
    assert age() == 0


async def test_what_a_scorer_owns(worker: PartitionWorker, store: HeldStore) -> None:
    store.let.set()
    moved = Growth(("tenure_transitions_total", {"before": "prospect", "after": "onboarding"}))
    durable = await take(worker, record(0, [usage(name, T0) for name in "abc"], T0))
    await asyncio.wait_for(durable.wait(), 10)
    refresh([worker])
    assert moved() == [3]
    assert shown("tenure_customers", stage="onboarding") == 3
    assert shown("tenure_scorer_partitions") == 1
    assert shown("tenure_scorer_state_bytes") == worker.partition.table.rows.nbytes > 0
    assert shown("tenure_scorer_lag_records") == 7
    assert shown("tenure_scorer_committed_lag_records") == 9
    assert shown("tenure_scorer_watermark_delay_seconds") == pytest.approx(
        time.time() - T0 / 1000, abs=30
    )


async def test_what_went_to_another_scorer_is_not_shown_any_more(worker: PartitionWorker) -> None:
    refresh([])
    assert shown("tenure_customers", stage="onboarding") == 0
    assert shown("tenure_scorer_partitions") == 0
    assert shown("tenure_scorer_state_bytes") == 0
    assert math.isnan(shown("tenure_scorer_watermark_delay_seconds"))


def example(at: int, ordinal: int, *, silent: bool, market: str = "") -> Example:
    return Example(
        origin=Identity(0, 1, ordinal),
        at=at,
        labelled_at=at,
        features=[0.0] * len(FEATURES),
        silent=silent,
        predicted=0.9 if silent else 0.1,
        heuristic=0.5,
        model=0,
        recent=True,
        market=market,
    )


def trained(labels: int, at: int) -> Learner:
    learner = Learner()
    examples = [example(at, number, silent=number % 2 == 0) for number in range(labels)]
    learner.take(1, Training(Watermark(0, at), examples))
    return learner


def test_the_trainer_shows_its_model() -> None:
    hour_ago = round((time.time() - 3600) * 1000)
    refresh([], trained(200, hour_ago))
    assert shown("tenure_model_labels") == 200
    assert shown("tenure_model_version") == 1
    assert shown("tenure_model_auc_ratio") == 1
    assert shown("tenure_model_calibration_error_ratio") == pytest.approx(0.1)
    assert shown("tenure_model_label_delay_seconds") == pytest.approx(3600, abs=60)
    assert shown("tenure_model_age_seconds") == pytest.approx(3600, abs=60)
    # A customer never seen: quiet for a week or gone, and half of them are silent.
    silent = 1 - 2 / 3 * (1 - math.sqrt(14 / 21))
    mean = -(math.log(silent) + math.log(1 - silent)) / 2
    loss = "tenure_model_discounted_log_loss_nats"
    # Fitted to that, it is no better than a coin, and better than as it is.
    assert math.log(2) < shown(loss, predictor="heuristic") < (math.log(2) + mean) / 2
    assert shown(loss, predictor="learner") > 0


def test_a_model_that_is_worse_than_the_heuristic_is_not_warm() -> None:
    learner = trained(200, T0)
    learner.model._loss = learner.model.groundwork.loss + 1
    refresh([], learner)
    assert shown("tenure_model_warm") == 0
    learner.model._loss = learner.model.groundwork.loss - 1
    refresh([], learner)
    assert shown("tenure_model_warm") == 1


def test_a_challenger_is_shown_beside_the_champion_and_promotions_are_counted() -> None:
    learner = trained(200, T0)
    refresh([], learner)
    difference = "tenure_model_challenger_difference_nats"
    assert math.isnan(shown(difference, bound="estimate"))
    assert shown("tenure_model_promotions") == 0
    for number in range(60):  # two thirds of a horizon apart, so each second one ends one
        at = T0 + number * 15 * 86_400_000
        said = replace(example(at, number, silent=True), origin=Identity(0, 2 + number, 0))
        said = replace(said, predicted=0.5, challenger=0.6, model=1)
        learner.take(2, Training(Watermark(0, at), [said]))
        refresh([], learner)
        if shown("tenure_model_promotions"):
            break
        assert not shown(difference, bound="high") < 0
    assert shown("tenure_model_promotions") == 1
    assert math.isnan(shown(difference, bound="high"))  # of the comparison that begins
    refresh([])
    assert math.isnan(shown("tenure_model_promotions"))


def test_markets_are_told_apart() -> None:
    learner = Learner()
    found = [example(T0, n, silent=n % 2 == 0, market="de") for n in range(10)]
    found += [replace(one, market="", origin=Identity(0, 2, 0), predicted=0.5) for one in found[:1]]
    learner.take(1, Training(Watermark(0, T0), found))
    refresh([], learner)
    assert shown("tenure_model_market_auc_ratio", market="de") == 1
    assert shown("tenure_model_market_calibration_error_ratio", market="de") == pytest.approx(0.1)
    assert shown("tenure_model_market_log_loss_nats", market="none") == pytest.approx(math.log(2))
    refresh([])
    assert REGISTRY.get_sample_value("tenure_model_market_auc_ratio", {"market": "de"}) is None


def test_a_former_trainer_shows_no_model() -> None:
    refresh([], trained(200, T0))
    refresh([])
    assert shown("tenure_model_labels") == 0
    for name in ("auc_ratio", "version", "warm", "age_seconds", "label_delay_seconds"):
        assert math.isnan(shown(f"tenure_model_{name}"))


def test_a_trainer_without_labels_has_no_figures_yet() -> None:
    refresh([], Learner())
    assert shown("tenure_model_warm") == 0
    assert math.isnan(shown("tenure_model_age_seconds"))
    assert math.isnan(shown("tenure_model_discounted_log_loss_nats", predictor="learner"))
