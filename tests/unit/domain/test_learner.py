"""The model depends on the training log alone: not on chance, repeats, or where one restarts."""

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from shared.domain import challenger as challenger_module
from shared.domain import learner as learner_module
from shared.domain import markets
from shared.domain.churn import ChurnModel
from shared.domain.configuration import CHALLENGER, CHAMPION
from shared.domain.features import FEATURES
from shared.domain.learner import Learner, Snapshot
from shared.domain.long_run import LongRun
from shared.domain.outputs import Example, Identity, Training, Watermark
from shared.domain.policy import DAY_MS
from shared.schemas.snapshots import encode_snapshot, snapshot_key

HORIZON = 3.0  # days, so that a short log has several
STEP = 3  # labels between two snapshots, so that a few examples make many


@pytest.fixture(autouse=True)
def frequent_promotions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any difference decide, so that champion and challenger often change places."""
    monkeypatch.setattr(challenger_module, "bound", lambda *_: 0.0)


@pytest.fixture(autouse=True)
def frequent_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "_STEP", STEP)
    monkeypatch.setattr(markets, "PLACES", 2)  # so that some have no place


def example(partition: int, number: int, labelled_at: int) -> Example:
    features = np.random.default_rng((partition, number)).uniform(0, 90, len(FEATURES)).tolist()
    return Example(
        origin=Identity(partition, number // 4, number % 4),
        at=labelled_at - 29 * DAY_MS,
        labelled_at=labelled_at,
        features=features,
        silent=(partition + number) % 3 == 0,
        predicted=0.1 + 0.01 * number % 0.8,
        heuristic=0.5,
        model=1 + number // 3,
        challenger=None if number % 5 == 0 else 0.2 + 0.02 * number % 0.7,
        recent=number % 2 == 0,
        market=("", "de", "fr", "nl")[(partition + number) % 4],
    )


def partition_log(partition: int, gaps: Sequence[int], sizes: Sequence[int]) -> list[Training]:
    """Return what one partition writes: its examples in order, with what it promises."""
    times = (1 + np.cumsum(gaps)).tolist()
    examples = [example(partition, n, at) for n, at in enumerate(times)]
    records, start = [], 0
    for size in [*sizes, len(examples)]:
        some, rest = examples[start : start + size], examples[start + size :]
        promised = (rest[0].labelled_at - 1) if rest else times[-1]
        records.append(Training(Watermark(partition, promised), some))
        start += size
    return records


def interleaved(logs: Sequence[list[Training]], random: Random) -> list[Training]:
    """Merge the partitions' logs by chance, each in its own order; all report at first."""
    waiting = [list(log) for log in logs]
    merged = [Training(Watermark(number, 0), []) for number in range(len(logs))]
    while any(waiting):
        merged.append(random.choice([log for log in waiting if log]).pop(0))
    return merged


def learn(learner: Learner, log: Sequence[Training], start: int = 0) -> Iterator[Snapshot]:
    for offset in range(start, len(log)):
        yield from learner.take(offset, log[offset])


def encoded(snapshot: Snapshot) -> bytes:
    return encode_snapshot(snapshot_key("churn", snapshot.version), snapshot, b"secret")[0]


def final(learner: Learner) -> bytes:
    return encoded(learner._snapshot(0, 0))


gaps = st.lists(st.sampled_from([0, 1, DAY_MS // 3, DAY_MS, 5 * DAY_MS]), min_size=1, max_size=25)
partition_logs = st.lists(
    st.tuples(gaps, st.lists(st.integers(0, 5), max_size=12)), min_size=1, max_size=3
).map(lambda made: [partition_log(n, gaps, sizes) for n, (gaps, sizes) in enumerate(made)])


@settings(max_examples=30, deadline=None)
@given(partition_logs, st.randoms(use_true_random=False))
def test_every_snapshot_and_the_log_after_it_give_the_same_models(
    logs: list[list[Training]], random: Random
) -> None:
    log = interleaved(logs, random)
    never_stopped = Learner(HORIZON)
    published = list(learn(never_stopped, log))
    for number, snapshot in enumerate(published):
        resumed = Learner.resume(snapshot)
        after = list(learn(resumed, log, snapshot.resume))
        assert [encoded(one) for one in after] == [encoded(one) for one in published[number + 1 :]]
        assert resumed.model.dump() == never_stopped.model.dump()


@settings(max_examples=20, deadline=None)
@given(partition_logs, st.randoms(use_true_random=False))
def test_chance_in_the_order_of_partitions_does_not_reach_the_model(
    logs: list[list[Training]], random: Random
) -> None:
    one, other = Learner(HORIZON), Learner(HORIZON)
    list(learn(one, interleaved(logs, random)))
    list(learn(other, interleaved(logs, Random(1))))
    assert one.model.dump() == other.model.dump()
    assert one.metrics.dump() == other.metrics.dump()


@settings(max_examples=20, deadline=None)
@given(partition_logs, st.randoms(use_true_random=False))
def test_what_comes_again_is_learned_once(logs: list[list[Training]], random: Random) -> None:
    log = interleaved(logs, random)
    repeated = log + log[len(logs) :]
    for _ in range(5):
        # A scorer that rebuilds its state writes a partition's records again, from the first on.
        again = random.choice(logs)
        place = random.randint(len(logs), len(repeated))
        repeated[place:place] = [one for one in again if one in repeated[:place]]
    once, twice = Learner(HORIZON), Learner(HORIZON)
    list(learn(once, log))
    list(learn(twice, repeated))
    assert final(once) == final(twice)


def test_what_is_measured_teaches_the_long_run_and_nothing_else_does() -> None:
    known = [example(0, n, 1 + n) for n in range(12)]
    examples = [replace(each, measured=n % 3 > 0) for n, each in enumerate(known)]
    learner = Learner(HORIZON)
    list(learner.take(0, Training(Watermark(0, 12), examples)))
    alone = LongRun(learner.model.steps)
    told = [each for each in examples if each.measured]
    alone.learn(np.array([each.features for each in told]), [each.silent for each in told])
    assert learner.model.groundwork.long_run.dump() == alone.dump()
    assert alone.dump()["labels"] == len(told) == 8


def test_an_example_waits_until_every_partition_has_passed_its_time() -> None:
    learner = Learner(HORIZON)
    learner.take(0, Training(Watermark(0, 0), []))
    learner.take(1, Training(Watermark(1, 0), []))
    learner.take(2, Training(Watermark(0, 100), [example(0, 0, 100)]))
    learner.take(3, Training(Watermark(1, 99), []))
    assert learner.model.labels == 0
    learner.take(4, Training(Watermark(1, 100), []))
    assert learner.model.labels == 1


def test_a_challenger_that_is_better_takes_the_place_and_the_former_champion_learns_on() -> None:
    learner = Learner(HORIZON)
    days = [
        replace(
            example(0, n, (n + 1) * DAY_MS),
            predicted=0.3,
            challenger=0.6 if n < 40 else 0.2,
            silent=True,
            model=1 if n < 12 else 3,
        )
        for n in range(30)
    ]
    versions = [
        snapshot
        for offset, one in enumerate(days)
        for snapshot in learner.take(offset, Training(Watermark(0, one.labelled_at), [one]))
    ]
    first = learner.promotions[0]
    # The first label ends no horizon; that of the fourth day does.
    assert (first.at, first.labels, first.version) == (4 * DAY_MS, 4, 2)
    assert first.configuration == str(CHALLENGER)
    assert first.difference.estimate == pytest.approx(np.log(0.3 / 0.6))
    (before, after, *_) = versions
    assert (before.version, after.version) == (1, 2)
    assert ChurnModel.load(before.model).chosen == CHAMPION
    assert ChurnModel.load(after.model).chosen == CHALLENGER
    former = ChurnModel.load(after.challenger)
    assert (former.chosen, former.labels) == (CHAMPION, after.labels)
    # What older versions said counts no more, and what is said since makes a comparison anew.
    assert after.comparison.number == 2
    assert [one.version for one in learner.promotions] == [2, 6]


def test_each_learns_spend_by_what_it_said_itself_also_where_they_change_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learner_module, "_STEP", 100)  # all of them at once
    learner = Learner(HORIZON)
    learner.version = 1  # what said all of them
    champion, challenger = learner.model, learner.challenger
    days = [
        replace(
            example(0, n, (n + 1) * DAY_MS),
            predicted=0.3,
            challenger=0.6,
            silent=True,
            model=1,
            spend=5.0 + n,
        )
        for n in range(12)
    ]
    learner.take(0, Training(Watermark(0, 13 * DAY_MS), days))
    assert [one.at for one in learner.promotions] == [4 * DAY_MS]
    assert learner.model is challenger
    features, spent = np.array([one.features for one in days]), [one.spend for one in days]
    for model, said in ((champion, 0.3), (challenger, 0.6)):
        alone = ChurnModel(HORIZON)
        alone.learn_spend(features, np.full(12, said), spent)
        assert model.dump()["spend_level"] == alone.dump()["spend_level"]


def test_a_snapshot_without_a_challenger_gives_it_what_the_champion_knows() -> None:
    learner = Learner(HORIZON)
    days = [example(0, n, n * DAY_MS) for n in range(1, 40)]
    log = [Training(Watermark(0, one.labelled_at), [one]) for one in days]
    (*_, newest) = learn(learner, log)
    resumed = Learner.resume(replace(newest, challenger={}))
    assert resumed.challenger.chosen == CHALLENGER
    assert resumed.challenger.labels == resumed.model.labels == newest.labels


def test_a_snapshot_is_due_after_a_day_that_brought_enough_and_after_many_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learner_module, "_MOST", 5)
    learner = Learner(HORIZON)
    same_day = [example(0, n, DAY_MS + n) for n in range(6)]
    snapshots = learner.take(0, Training(Watermark(0, 2 * DAY_MS - 1), same_day))
    # Three on the first day are enough for a new day, then five within it.
    assert [one.labels for one in snapshots] == [3]
    more = [example(0, 6 + n, DAY_MS + 10 + n) for n in range(5)]
    snapshots = learner.take(1, Training(Watermark(0, 2 * DAY_MS - 1), more))
    assert [one.labels for one in snapshots] == [8]
    assert [one.version for one in snapshots] == [2]


def test_markets_are_measured_by_what_was_measured() -> None:
    learner = Learner(HORIZON)
    found = [
        structs.replace(example(0, number, DAY_MS), market=market, measured=measured)
        for number, (market, measured) in enumerate([("de", True), ("de", False), ("", True)])
    ]
    learner.take(0, Training(Watermark(0, DAY_MS), found))
    assert [(name, tally.n) for name, tally in learner.markets.tallies()] == [
        ("de", 1),
        ("none", 1),
    ]
