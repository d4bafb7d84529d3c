"""The trainer's core: labelled examples in, model snapshots out; no I/O.

Examples of several partitions arrive interleaved by chance. They are learned in the order of the
time at which their label was known, so the model depends on the examples alone: each partition
promises by its watermark that nothing earlier will follow, and an example waits until all have.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, Final

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.challenger import Comparison, Promotion
from shared.domain.churn import HORIZON_DAYS, ChurnModel
from shared.domain.configuration import CHALLENGER, CHAMPION, Configuration
from shared.domain.drift import Drift, DriftDetector
from shared.domain.evaluation import Prequential
from shared.domain.features import FEATURES, Floats
from shared.domain.markets import Markets
from shared.domain.outputs import Example, Identity, Training
from shared.domain.policy import DAY_MS
from shared.domain.scoring import Served

#: Labels between two snapshots of a model, unless a day of labels brings more.
_STEP: Final = 100
_MOST: Final = 2_000


class Snapshot(Struct, frozen=True):
    """All that is needed to go on learning, and to score, from one place of the training log.

    Attributes
    ----------
    version
        Counts up from 1.
    at
        Label time of the last example that is in it.
    labels
        Examples learned so far.
    resume
        Offset of ``training-examples`` from which to read on; what is in the model already is
        recognised by `learned`.
    made_at
        Offset of the record that it was made at. Whoever resumes learns nothing before: what was
        waiting then must all be waiting again, or it would be learned in another order.
    learned
        Last example learned of each partition of ``customer-events``.
    watermarks
        Promise of each partition.
    model, metrics, metrics_recent_customers
        Dumps of `ChurnModel` and of the `Prequential` metrics: over all customers, and over
        those active within two horizons.
    drift
        Dump of the `DriftDetector`.
    drifts
        What it found since the snapshot before.
    markets
        Dump of the metrics by market.
    challenger
        Dump of the `ChurnModel` that learns beside it.
    comparison, promotions
        Of the two, and which challengers took the champion's place so far.

    """

    version: int
    at: int
    labels: int
    resume: int
    made_at: int
    learned: dict[int, Identity]
    watermarks: dict[int, int]
    model: dict[str, Any]
    metrics: dict[str, Any]
    metrics_recent_customers: dict[str, Any]
    drift: dict[str, Any] = {}  # not in the first snapshots
    drifts: list[Drift] = []
    markets: dict[str, Any] = {}  # likewise
    challenger: dict[str, Any] = {}  # likewise
    comparison: Comparison = field(default_factory=Comparison)
    promotions: list[Promotion] = []


def served(snapshot: Snapshot) -> Served:
    """Return a snapshot as it is used for scoring."""
    challenger = ChurnModel.load(snapshot.challenger).scorer() if snapshot.challenger else None
    return Served(snapshot.version, ChurnModel.load(snapshot.model).scorer(), challenger)


class Learner:
    """Learns a training log, record by record.

    Parameters
    ----------
    horizon_days
        That of the labels.
    champion, challenger
        How each learns at first.

    Attributes
    ----------
    model, challenger
        The champion, which is served, and what learns the same labels in its shadow.
    comparison, promotions
        Of the two; how often they changed places.
    published_at
        Label time of the last example in the newest snapshot; 0 before the first.
    drift, drifts
        Watches the served predictions; what it found since the last `Snapshot`.

    Examples
    --------
    ``snapshots = learner.take(offset, training)`` for each record of ``training-examples``.

    """

    def __init__(
        self,
        horizon_days: float = HORIZON_DAYS,
        champion: Configuration = CHAMPION,
        challenger: Configuration = CHALLENGER,
    ) -> None:
        self.model = ChurnModel(horizon_days, champion)
        self.challenger = ChurnModel(horizon_days, challenger, self.model)
        self.comparison = Comparison()
        self.promotions: list[Promotion] = []
        self.metrics = Prequential()
        self.metrics_recent_customers = Prequential()
        self.markets = Markets()
        self.drift = DriftDetector()
        self.drifts: list[Drift] = []
        self.version = 0
        self.watermarks: dict[int, int] = {}
        self._learned: dict[int, Identity] = {}
        self._waiting: list[tuple[int, Identity, int, Example]] = []
        self._complete_at = 0
        self._published_labels = 0
        self.published_at = 0

    @classmethod
    def resume(cls, snapshot: Snapshot) -> Learner:
        """Continue from a snapshot; feed it the log from ``snapshot.resume`` on."""
        learner = cls()
        learner.model = ChurnModel.load(snapshot.model)
        # The first snapshots have no challenger: it sets out from what the champion knows.
        learner.challenger = (
            ChurnModel.load(snapshot.challenger, beside=learner.model)
            if snapshot.challenger
            else ChurnModel.load(snapshot.model, CHALLENGER, learner.model)
        )
        learner.comparison = replace(snapshot.comparison)
        learner.promotions = list(snapshot.promotions)
        learner.metrics = Prequential.load(snapshot.metrics)
        learner.metrics_recent_customers = Prequential.load(snapshot.metrics_recent_customers)
        learner.markets = Markets.load(snapshot.markets)
        if snapshot.drift:
            learner.drift = DriftDetector.load(snapshot.drift)
        learner.version = snapshot.version
        learner.watermarks = dict(snapshot.watermarks)
        learner._learned = dict(snapshot.learned)
        learner._published_labels = snapshot.labels
        learner.published_at = snapshot.at
        learner._complete_at = snapshot.made_at
        return learner

    def take(self, offset: int, training: Training) -> list[Snapshot]:
        """Take in a record of the training log.

        Parameters
        ----------
        offset
            Of the record.
        training
            Its content; examples that were learned before are dropped.

        Returns
        -------
        The snapshots that are to be published, usually none.

        """
        return [self._snapshot(offset, at) for at in self.learn(offset, training)]

    def learn(self, offset: int, training: Training) -> Iterator[int]:
        """Take in a record, and stop wherever a model is to be published: to be exhausted.

        Yields
        ------
        The label time of the last example learned; `version` and `model` are then those to
        publish.

        """
        for example in training.examples:
            self._wait(offset, example)
        mark = training.watermark
        self.watermarks[mark.partition] = max(mark.at, self.watermarks.get(mark.partition, 0))
        if offset >= self._complete_at:
            yield from self._learn_ready()

    def _learn_ready(self) -> Iterator[int]:
        """Learn what nothing earlier can follow any more, all at once up to each new model."""
        ready, known = min(self.watermarks.values()), []
        fresh = self.model.labels - self._published_labels
        while self._waiting and self._waiting[0][0] <= ready:
            labelled_at, identity, _, example = heappop(self._waiting)
            if self._is_learned(identity):
                continue
            self._learned[identity.partition] = identity
            known.append(example)
            fresh += example.learned
            if self._is_due(labelled_at, fresh):
                self._learn(known)
                self.version += 1
                self._published_labels, self.published_at = self.model.labels, labelled_at
                yield labelled_at
                known, fresh = [], 0
        self._learn(known)

    def _wait(self, offset: int, example: Example) -> None:
        if not self._is_learned(example.origin):
            heappush(self._waiting, (example.labelled_at, example.origin, offset, example))

    def _is_learned(self, identity: Identity) -> bool:
        """Tell whether an example is in the model: a partition's come in identity order."""
        last = self._learned.get(identity.partition)
        return last is not None and identity <= last

    def _learn(self, examples: list[Example]) -> None:
        """Learn labels in their order: what was said of them first, then what they say."""
        measured = [each for each in examples if each.measured]
        if measured:
            self._measure(measured)
        learned = [each for each in examples if each.learned]
        if learned:
            labels = self.model.groundwork.take(
                _features(learned),
                [int(each.silent) for each in learned],
                [int(each.closed) for each in learned],
                [int(each.involuntary) for each in learned],
            )
            self.model.learn(labels)
            self.challenger.learn(labels)

    def _measure(self, examples: list[Example]) -> None:
        """Take in how good predictions were; each of both models learns of its own what it meant.

        Which of them is champion changes in between where the challenger turns out to be better.
        """
        said: dict[ChurnModel, list[float]] = {self.model: [], self.challenger: []}
        for example in examples:
            self._count(example)
            champion, challenger = self.comparison.said(example)
            said[self.model].append(champion)
            said[self.challenger].append(challenger)
            self._compare(example)
        features, spent = _features(examples), [each.spend for each in examples]
        self.model.groundwork.long_run.learn(features, [each.silent for each in examples])
        for model, silent in said.items():
            model.learn_spend(features, np.array(silent), spent)

    def _count(self, example: Example) -> None:
        p, y = example.predicted, example.silent
        self.metrics.update(p, y)
        if example.recent:
            self.metrics_recent_customers.update(p, y)
        self.markets.update(example.market, p, y)
        found = self.drift.update(p, y, example.labelled_at)
        if found is not None:
            self.drifts.append(found)

    def _compare(self, example: Example) -> None:
        """Look whether one is better with confidence; a challenger that is changes places."""
        if not self.comparison.take(example, self.model.steps.horizon):
            return
        found = self.comparison.difference()
        if found.low > 0.0:
            self.comparison = self.comparison.next(self.comparison.since)
        elif found.high < 0.0:
            self.model, self.challenger = self.challenger, self.model
            labels, version = self.comparison.labels, self.version + 1
            self.promotions.append(
                Promotion(example.labelled_at, version, labels, str(self.model.chosen), found)
            )
            self.comparison = self.comparison.next(version)

    def served(self) -> Served:
        """Return what the newest version serves."""
        return Served(self.version, self.model.scorer(), self.challenger.scorer())

    def _is_due(self, labelled_at: int, fresh: int) -> bool:
        new_day = labelled_at // DAY_MS > self.published_at // DAY_MS
        return fresh >= _MOST or (fresh >= _STEP and new_day)

    def _snapshot(self, offset: int, at: int) -> Snapshot:
        drifts, self.drifts = self.drifts, []
        return Snapshot(
            version=self.version,
            at=at,
            labels=self.model.labels,
            resume=min([offset, *(waiting[2] for waiting in self._waiting)]),
            made_at=offset,
            learned=dict(self._learned),
            watermarks=dict(self.watermarks),
            model=self.model.dump(),
            metrics=self.metrics.dump(),
            metrics_recent_customers=self.metrics_recent_customers.dump(),
            drift=self.drift.dump(),
            drifts=drifts,
            markets=self.markets.dump(),
            challenger=self.challenger.dump(),
            comparison=replace(self.comparison),
            promotions=list(self.promotions),
        )


def _features(examples: list[Example]) -> Floats:
    """Return (n, F) features; examples of former builds have no signs, which come last."""
    found = np.zeros((len(examples), len(FEATURES)))
    for row, example in zip(found, examples, strict=True):
        row[: len(example.features)] = example.features
    return found
