"""How good the churn model is: predictions as they were made, beside what came true.

Every measured example carries the probability that was served at its time, and that of the stated
heuristic, so whatever is computed of them is prequential: nothing was foreseen afterwards.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.campaigner.console.questions.moves import Logs
from shared.domain.accuracy import Accuracy, Bin, accuracy, auc, reliability
from shared.domain.base_book import NONE
from shared.domain.challenger import Comparison, Promotion
from shared.domain.churn import ModelStateError, configuration_of
from shared.domain.events import DECODE_ERRORS
from shared.domain.learner import Snapshot
from shared.domain.markets import OTHERS, PLACES
from shared.domain.outputs import Example, Training
from shared.schemas.snapshots import SIGNATURE_HEADER, SnapshotError, decode_snapshot, version_of
from shared.topics import CHURN_MODELS, TRAINING_EXAMPLES

#: Labels that are looked at, the newest; and records of the topics, each of many labels or of one.
LABELS: Final = 10_000
_RECORDS: Final = 20_000
_SNAPSHOTS: Final = 60
_AT_ONCE: Final = 4_000
#: Points of a curve at the most, and labels that one needs.
_POINTS: Final = 40
_LEAST: Final = 150

_training: Final = msgspec.json.Decoder(Training)
_ROW: Final = np.dtype(
    [
        ("at", "<i8"),
        ("p", "<f8"),
        ("heuristic", "<f8"),
        ("silent", "?"),
        ("recent", "?"),
        ("market", "O"),
    ]
)


@dataclass(frozen=True)
class Point:
    """Quality over one stretch of labels; ``at`` is its last label's time (epoch ms)."""

    at: int
    auc: float
    heuristic_auc: float
    log_loss: float
    heuristic_log_loss: float


@dataclass(frozen=True)
class Contest:
    """Champion against challenger, as a version of the model has them.

    Attributes
    ----------
    champion, challenger
        How both learn; ``None`` where there is no challenger, as in the first versions.
    comparison
        Of their log losses on the same labels.
    promotions
        Which challengers took the champion's place, the newest first.

    """

    champion: str
    challenger: str | None
    comparison: Comparison
    promotions: list[Promotion]

    @property
    def losses(self) -> tuple[float, float]:
        """Log loss of champion and challenger on the labels compared; NaN without any."""
        found = self.comparison.report()
        return found["log_loss"], found["challenger_log_loss"]

    @property
    def said(self) -> str:
        """What is known of their difference, in a sentence."""
        labels, horizons = self.comparison.labels, self.comparison.horizons
        if not horizons:
            return f"{labels:,} labels compared; the first horizon of them has not ended."
        return (
            f"challenger less champion {self.comparison.difference()}, by horizons ({horizons} "
            f"so far, {labels:,} labels). Below 0 the challenger is better."
        )


@dataclass(frozen=True)
class Published:
    """A version of the model.

    Attributes
    ----------
    at
        When it was published, epoch ms.
    labels, labelled_at
        What it has learned, and the time of the last of it; ``None`` if it cannot be read.
    problem
        Why it cannot be trusted.
    contest
        Its champion against its challenger.

    """

    version: int
    at: int
    labels: int | None = None
    labelled_at: int | None = None
    problem: str | None = None
    contest: Contest | None = None


@dataclass(frozen=True)
class Quality:
    """The model by its newest labels.

    Attributes
    ----------
    model, heuristic
        Over all labels.
    recent
        The model, over customers who were active within two horizons alone: those who never
        return flatter it.
    bins
        Predicted against observed.
    markets
        The model in each of the markets with the most labels, and in the others together.
    versions
        The newest first.

    """

    model: Accuracy
    heuristic: Accuracy
    recent: Accuracy
    bins: list[Bin]
    curve: list[Point]
    first: int | None
    last: int | None
    markets: list[tuple[str, Accuracy]] = field(default_factory=list)
    versions: list[Published] = field(default_factory=list)

    @property
    def contest(self) -> tuple[int, Contest] | None:
        """The newest version that can be trusted, and its champion against its challenger."""
        known = ((each.version, each.contest) for each in self.versions if each.contest)
        return next(known, None)


class ModelWatch:
    """Follows labels and versions; one thread at a time.

    Parameters
    ----------
    logs
        Kafka.
    secret
        Signs the snapshots.

    """

    def __init__(self, logs: Logs, secret: bytes) -> None:
        self._logs = logs
        self._secret = secret
        self._next: dict[str, dict[Any, int]] = {}
        self._rows: NDArray[np.void] = np.empty(0, _ROW)
        self._versions: dict[int, Published] = {}

    def look(self) -> Quality:
        """Return how good the model is by now."""
        self._take_labels(self._new(TRAINING_EXAMPLES.name, _RECORDS))
        self._take_versions(self._new(CHURN_MODELS.name, _SNAPSHOTS))
        rows = self._rows
        silent, recent = rows["silent"], rows["recent"]
        return Quality(
            accuracy(rows["p"], silent),
            accuracy(rows["heuristic"], silent),
            accuracy(rows["p"][recent], silent[recent]),
            reliability(rows["p"], silent) if len(rows) else [],
            _curve(rows),
            int(rows["at"][0]) if len(rows) else None,
            int(rows["at"][-1]) if len(rows) else None,
            _by_market(rows),
            sorted(self._versions.values(), key=lambda each: -each.version),
        )

    def _new(self, topic: str, past: int) -> list[Any]:
        if topic not in self._next:
            bounds = self._logs.bounds(self._logs.partitions(topic))
            starts = {each: max(low, high - past) for each, (low, high) in bounds.items()}
            self._next[topic] = starts
        found, self._next[topic] = self._logs.read(self._next[topic], most=_AT_ONCE)
        return found

    def _take_labels(self, records: list[Any]) -> None:
        found = [
            _row(example)
            for record in records
            for example in _examples(record.value or b"")
            if example.measured
        ]
        if found:
            rows = np.concatenate([self._rows, np.array(found, _ROW)])
            self._rows = rows[np.argsort(rows["at"], kind="stable")][-LABELS:]

    def _take_versions(self, records: list[Any]) -> None:
        for record in records:
            version = version_of(record.key)
            if version is not None and record.value:
                self._versions[version] = self._published(version, record)
            elif version is not None:
                self._versions.pop(version, None)
        for each in sorted(self._versions)[:-_SNAPSHOTS]:
            del self._versions[each]

    def _published(self, version: int, record: Any) -> Published:  # noqa: ANN401  # kafka-python's
        signature = dict(record.headers).get(SIGNATURE_HEADER, b"")
        try:
            found = decode_snapshot(record.key, record.value, signature, self._secret)
            contest = _contest(found)
        except (SnapshotError, ModelStateError) as error:
            return Published(version, record.timestamp, problem=str(error))
        return Published(version, record.timestamp, found.labels, found.at, contest=contest)


def _contest(snapshot: Snapshot) -> Contest:
    shadow = snapshot.challenger
    return Contest(
        str(configuration_of(snapshot.model)),
        str(configuration_of(shadow)) if shadow else None,
        snapshot.comparison,
        snapshot.promotions[::-1],
    )


def _examples(value: bytes) -> list[Example]:
    try:
        return _training.decode(value).examples
    except DECODE_ERRORS:
        return []


def _row(example: Example) -> tuple[object, ...]:
    return (
        example.labelled_at, example.predicted, example.heuristic, example.silent, example.recent,
        example.market or NONE,
    )  # fmt: skip


def _by_market(rows: NDArray[np.void]) -> list[tuple[str, Accuracy]]:
    largest = [market for market, _ in Counter(rows["market"].tolist()).most_common(PLACES)]
    parts = [(market, rows["market"] == market) for market in largest]
    parts.append((OTHERS, ~np.isin(rows["market"], largest)))
    return [
        (name, accuracy(rows["p"][which], rows["silent"][which]))
        for name, which in parts
        if which.any()
    ]


def _curve(rows: NDArray[np.void]) -> list[Point]:
    """Return the quality over equal numbers of labels, in their order."""
    parts = min(_POINTS, len(rows) // _LEAST)
    return [_point(each) for each in np.array_split(rows, parts)] if parts else []


def _point(rows: NDArray[np.void]) -> Point:
    silent = rows["silent"]
    return Point(
        int(rows["at"][-1]),
        auc(rows["p"], silent),
        auc(rows["heuristic"], silent),
        accuracy(rows["p"], silent).log_loss,
        accuracy(rows["heuristic"], silent).log_loss,
    )


def shown(value: float, digits: int = 3) -> str:
    """Return a metric, a hyphen where it is not defined.

    >>> shown(0.81234), shown(math.nan)
    ('0.812', '-')
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
